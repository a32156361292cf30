# SPDX-License-Identifier: LGPL-2.1-or-later
"""Building for other machines: Debian's cross compilers, and GLib for the target in a directory.

GLib comes as packages of the target's architecture through a private apt, is unpacked into the cache
and never installed; the machine's dpkg learns of no other architecture.  Programs are static, so that
a bare initramfs or qemu-user runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import assets

# glib-2.0.pc names these; Debian 12's GLib is built without sysprof
_PACKAGES = r"libglib2\.0-0(?:t64)?|libpcre2-dev|libsysprof-capture-4-dev"


@dataclass(frozen=True)
class Target:
    """A machine to build for."""

    architecture: str       # Debian's name
    triplet: str
    cpu: str                # meson's names
    cpu_family: str
    endian: str
    emulator: str | None    # of programs; None: they are run in a whole emulated machine


TARGETS = {target.architecture: target for target in (
    Target("ppc64el", "powerpc64le-linux-gnu", "power8", "ppc64", "little", None),
    Target("s390x", "s390x-linux-gnu", "s390x", "s390x", "big", "qemu-s390x"),
)}


def _fetch(target: Target, into: Path, scratch: Path) -> None:
    """Unpack GLib's development files and what they need into the (new) directory."""
    apt = assets.PrivateApt(scratch / "apt", target.architecture)
    for deb in apt.fetch(["libglib2.0-dev"], "libglib2.0-dev", _PACKAGES):
        subprocess.run(["dpkg-deb", "-x", deb, into], check=True)


def sysroot(target: Target) -> Path:
    """The directory with the target's GLib; fetched on first use."""
    base = assets.cache_dir() / "assets"
    base.mkdir(mode=0o700, exist_ok=True)
    final = base / f"sysroot-{target.architecture}-{assets.release()}"
    with assets.locked(base / f"lock-{target.architecture}"):
        if not final.exists():
            with tempfile.TemporaryDirectory(prefix="sysroot.", dir=base) as scratch:
                fresh = Path(scratch) / "root"
                fresh.mkdir()
                _fetch(target, fresh, Path(scratch))
                fresh.rename(final)
    return final


def cross_file(target: Target) -> str:
    """Meson's description of the target."""
    root = sysroot(target)
    libdir = root / "usr/lib" / target.triplet / "pkgconfig"
    wrapper = ""
    if target.emulator:
        emulator = shutil.which(target.emulator)
        if emulator is None:
            raise assets.AssetError(f"no '{target.emulator}': install qemu-user")
        wrapper = f"exe_wrapper = '{emulator}'\n"
    return f"""[binaries]
c = '{target.triplet}-gcc'
ar = '{target.triplet}-ar'
strip = '{target.triplet}-strip'
pkg-config = 'pkg-config'
pkgconfig = 'pkg-config'
{wrapper}
[properties]
needs_exe_wrapper = true
sys_root = '{root}'
pkg_config_libdir = '{libdir}:{root}/usr/share/pkgconfig'

[built-in options]
prefer_static = true
c_link_args = ['-static']

[host_machine]
system = 'linux'
cpu_family = '{target.cpu_family}'
cpu = '{target.cpu}'
endian = '{target.endian}'
"""


def write_cross_file(architecture: str, path: Path) -> None:
    """Put the description where meson is to read it; an equal one is left alone."""
    text = cross_file(TARGETS[architecture])
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.rename(path)
