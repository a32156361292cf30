# SPDX-License-Identifier: LGPL-2.1-or-later
"""End-to-end tests: real pseries guests under real QEMU (TCG) and real libvirt."""
