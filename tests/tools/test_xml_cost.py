# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that hostile domain XML in an image costs neither hundreds of megabytes nor minutes.

Memory is measured as the kernel counts it, against that of a run on a small domain.  A sanitizer's
own memory would drown it: this needs a build without.
"""

import os
import subprocess

import streams
import virthpt

MIB = 1024
HEAD, TAIL = b"<domain type='kvm'><name>guest</name>", b"</domain>"
NODES = 131072 - 16  # what a domain may have, less those of the frame


class XmlCost(virthpt.Case):
    """A save image whose header holds the XML."""

    def cost(self, xml, status, command="inspect"):
        """(KiB of memory, seconds of CPU time, what it said on its standard error)."""
        (self.dir / "image").write_bytes(
            streams.save_image(streams.stream(streams.good_table()), xml=HEAD + xml + TAIL))
        with subprocess.Popen([virthpt.PROGRAM, command, "image"], cwd=self.dir,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            said = process.stderr.read().decode()
            _, ended, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(ended)
        self.assertEqual(process.returncode, status, said)
        return usage.ru_maxrss, usage.ru_utime, said

    def assert_cheap(self, xml, status, command="inspect", most=128 * MIB, seconds=10):
        """Returns what it said."""
        small, _, _ = self.cost(b"", virthpt.GOOD, command)
        memory, time, said = self.cost(xml, status, command)
        self.assertLess(memory - small, most)
        self.assertLess(time, seconds)
        return said

    def test_more_elements_than_a_domain_has_are_refused_before_a_tree_is_built(self):
        for command in "inspect", "record":
            with self.subTest(command):
                said = self.assert_cheap(b"<a/>" * (3 * MIB * 1024), virthpt.FAILED, command,
                                         64 * MIB)
                self.assertIn("image:1: the document has more than 131072 nodes", said)

    def test_many_attributes_are_refused_before_a_tree_is_built(self):
        element = b"<a " + b" ".join(b"a%d='x'" % i for i in range(60)) + b"/>"
        said = self.assert_cheap(element * 5000, virthpt.FAILED, most=32 * MIB)
        self.assertIn("image:1: the document has more than 131072 nodes", said)

    def test_many_different_names_are_refused(self):
        names = b"".join(b"<a%x/>" % i for i in range(NODES))
        said = self.assert_cheap(names, virthpt.FAILED)
        self.assertIn("image:1: the names in the document have more than 262144 bytes", said)

    def test_as_many_elements_as_a_domain_may_have_are_read(self):
        self.assert_cheap(b"<a/>x" * NODES, virthpt.GOOD)

    def test_as_many_elements_as_a_domain_may_have_are_recorded(self):
        self.assert_cheap(b"<a/>x" * NODES, virthpt.GOOD, "record", 256 * MIB)

    def test_different_blanks_between_elements_make_nothing_slow(self):
        # A string of three kinds of blanks for each number
        kinds = bytes.maketrans(b"012", b" \t\n")
        blanks = b"".join(
            b"<a/>" + (b"%d" % int(f"{i:017b}")).translate(kinds) for i in range(NODES))
        self.assert_cheap(blanks, virthpt.GOOD)

    def test_many_devices_are_no_hostility(self):
        disk = (b"<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>"
                b"<source file='/images/%d'/><target dev='vd%d' bus='virtio'/><alias name='d%d'/>"
                b"<address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>"
                b"</disk>")
        disks = b"".join(disk % (i, i, i) for i in range(2000))
        self.assert_cheap(b"<devices>" + disks + b"</devices>", virthpt.GOOD)


if __name__ == "__main__":
    virthpt.main()
