# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's software: Debian's ppc64el kernel and busybox, and initramfs archives made of them.

Requires root (the cache is root's, 0700) and, the first time only, the network: the packages come
through apt, from the sources this machine has, with apt's own signature checks, but in private
directories.  Nothing is installed and the machine's apt is only read.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

KERNEL_PACKAGE = "linux-image-powerpc64le"
BUSYBOX_PACKAGE = "busybox-static"

# Tried in this order when the mirror has no whole index for the machine's own release
RELEASES = ("bookworm", "trixie")

# In insmod order; some are built into newer kernels
MODULES = (
    "virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
    "virtio_blk", "failover", "net_failover", "virtio_net",
)
HOST_MODULES = ("irqbypass", "kvm", "kvm-hv")

# What _fetch() leaves; a cache of another layout is not looked at
_LAYOUT = 2


class AssetError(Exception):
    """The guest's kernel or busybox cannot be had."""


@dataclass(frozen=True)
class Assets:
    """Where the guest's kernel and initramfs are, and of which package versions."""

    kernel: Path
    initramfs: Path
    versions: dict[str, str]
    host_modules: tuple[Path, ...] = ()     # for a guest that is itself a KVM host, in insmod order
    busybox: Path = Path()


def cache_dir() -> Path:
    """The cache of this package, root's and 0700; made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base) / "libvirt-hpt"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise AssetError(f"'{path}' is not a directory of this user")
    path.chmod(0o700)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, so that two runs do not make the same thing twice."""
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sources(codename: str) -> str:
    """Where a release is, on the mirrors of this machine."""
    script = Path(__file__).parents[1] / "apt-sources"
    return subprocess.run([script, codename], check=True, capture_output=True, text=True).stdout


class PrivateApt:
    """apt for another architecture in directories of its own; machine-wide hooks do not run in it."""

    def __init__(self, root: Path, architecture: str = "ppc64el") -> None:
        self.root = root
        self.architecture = architecture
        for name in ("state/lists/partial", "cache/archives/partial", "parts", "debs"):
            (root / name).mkdir(parents=True)
        (root / "status").touch()
        # How to reach the mirrors (proxies, credentials) is the machine's; what to fetch is ours
        dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True)
        keep = [line for line in dump.stdout.splitlines()
                if re.match(r"Acquire::(?!IndexTargets|Languages)", line)]
        self.config = root / "apt.conf"
        self.config.write_text("\n".join(keep) + f"""
Acquire::Languages "none";
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Sandbox::User "root";
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "{root}/parts";
""")

    def use_sources(self, lines: str) -> None:
        """Fetch from these sources and no others."""
        sources = self.root / "sources.list"
        sources.write_text(lines)
        with open(self.config, "a", encoding="utf-8") as config:
            config.write(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n')

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run an apt tool with the private configuration."""
        env = dict(os.environ, APT_CONFIG=str(self.config), LC_ALL="C",
                   DEBIAN_FRONTEND="noninteractive")
        return subprocess.run(argv, env=env, cwd=self.root / "debs", check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def dependencies(self, package: str, pattern: str) -> list[str]:
        """The packages that package depends on and whose names match pattern; at least one."""
        update = self.run("apt-get", "-q", "update")
        # One broken source of several is no obstacle as long as the packages are found
        depends = self.run("apt-cache", "depends", "--important", package)
        found = re.findall(rf"Depends: ({pattern})$", depends.stdout, re.MULTILINE)
        if not found:
            raise AssetError(f"apt finds no '{package}' for {self.architecture}:\n"
                             f"{update.stdout}{depends.stdout}")
        return found

    def download(self, *names: str) -> list[Path]:
        """Fetch packages, verified by apt; returns the files."""
        for stale in (self.root / "debs").glob("*.deb"):
            stale.unlink()
        done = self.run("apt-get", "-q", "download", *names)
        debs = sorted((self.root / "debs").glob("*.deb"))
        if done.returncode != 0 or len(debs) != len(names):
            raise AssetError(f"apt cannot fetch {', '.join(names)}:\n{done.stdout}")
        return debs

    def fetch(self, names: list[str], package: str, pattern: str) -> list[Path]:
        """Fetch the named packages and the dependencies of package whose names match pattern.

        They are of this machine's release, or all of one that the mirror has whole.
        """
        reasons = []
        for codename in ("", *RELEASES):
            if codename:
                self.use_sources(_sources(codename))
            try:
                needs = self.dependencies(package, pattern)
                return self.download(*sorted({*names, *needs}))
            except AssetError as error:
                reasons.append(f"{codename or 'as configured'}: {error}")
        raise AssetError("\n".join(reasons))


def _find(root: Path, name: str) -> Path:
    """The one file of that name below root (lib and usr/lib differ between releases)."""
    found = sorted(root.rglob(name))
    if not found:
        raise AssetError(f"no '{name}' in the package")
    return found[0]


def _fetch(target: Path) -> None:
    """Fill the (new) directory target with vmlinux, busybox, modules/ and versions.json."""
    with tempfile.TemporaryDirectory(prefix="apt.", dir=target.parent) as scratch:
        root = Path(scratch)
        apt = PrivateApt(root / "apt")
        # The versioned package is behind the metapackage
        debs = apt.fetch([BUSYBOX_PACKAGE], KERNEL_PACKAGE, r"linux-image-\S+")
        versions = {}
        for deb in debs:
            name, version = deb.name.split("_")[:2]
            versions[name] = urllib.parse.unquote(version)
            subprocess.run(["dpkg-deb", "-x", deb, root / "files"], check=True)
        shutil.copy(_find(root / "files", "vmlinux-*"), target / "vmlinux")
        shutil.copy(_find(root / "files", "busybox"), target / "busybox")
        (target / "modules").mkdir()
        builtin = _find(root / "files", "modules.builtin").read_text()
        for module in (*MODULES, *HOST_MODULES):
            if f"/{module}.ko\n" in builtin:
                continue
            source = _find(root / "files", f"{module}.ko*")
            data = source.read_bytes()
            if source.suffix == ".xz":
                data = lzma.decompress(data)
            (target / "modules" / f"{module}.ko").write_bytes(data)
        (target / "versions.json").write_text(json.dumps(versions, indent=2, sort_keys=True))


def release() -> str:
    """The distribution and release of this machine, such as 'debian-12'."""
    fields = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release", encoding="utf-8")
                  if "=" in line)
    return "-".join(fields.get(key, "unknown").strip('"') for key in ("ID", "VERSION_ID"))


def _unpacked(refresh: bool) -> Path:
    """The directory of unpacked packages, fetched if it is missing or refresh is asked for."""
    base = cache_dir() / "assets"
    base.mkdir(mode=0o700, exist_ok=True)
    current = base / f"{release()}.{_LAYOUT}"
    with locked(base / "lock"):
        if current.exists() and not refresh:
            return current.resolve()
        fresh = Path(tempfile.mkdtemp(prefix="new.", dir=base))
        try:
            _fetch(fresh)
            versions = json.loads((fresh / "versions.json").read_text())
            name = "+".join(f"{key}_{value}" for key, value in sorted(versions.items()))
            name += f".{_LAYOUT}"
            final = base / re.sub(r"[^\w.+-]", "_", name)
            if not final.exists():
                fresh.rename(final)
            link = base / f"link.{os.getpid()}"
            link.symlink_to(final.name)
            link.rename(current)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return current.resolve()


def cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A cpio archive in the 'newc' form from (name, mode, data)."""
    out = bytearray()
    for inode, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += b"\0" * (-len(out) % 4)
        out += data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def _modules(unpacked: Path, names: tuple[str, ...]) -> list[str]:
    """Those of the modules that the kernel has not built in."""
    return [name for name in names if (unpacked / "modules" / f"{name}.ko").exists()]


def _initramfs(unpacked: Path) -> bytes:
    """busybox, the virtio modules and guest-init.sh as /init."""
    init = (Path(__file__).parent / "guest-init.sh").read_bytes()
    modules = _modules(unpacked, MODULES)
    entries: list[tuple[str, int, bytes]] = [
        *((name, stat.S_IFDIR | 0o755, b"")
          for name in ("bin", "dev", "proc", "sys", "tmp", "modules")),
        ("bin/busybox", stat.S_IFREG | 0o755, (unpacked / "busybox").read_bytes()),
        ("init", stat.S_IFREG | 0o755, init),
        ("modules/order", stat.S_IFREG | 0o644,
         "".join(f"{name}\n" for name in modules).encode()),
    ]
    for module in modules:
        data = (unpacked / "modules" / f"{module}.ko").read_bytes()
        entries.append((f"modules/{module}.ko", stat.S_IFREG | 0o644, data))
    return cpio(entries)


def get(refresh: bool = False) -> Assets:
    """The guest's kernel and initramfs; fetched on first use.

    refresh: look for newer packages even if some are in the cache.
    """
    unpacked = _unpacked(refresh)
    data = _initramfs(unpacked)
    image = unpacked / f"initramfs-{hashlib.sha256(data).hexdigest()[:16]}"
    if not image.exists():
        partial = image.with_name(f"{image.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.rename(image)
    versions = json.loads((unpacked / "versions.json").read_text())
    return Assets(unpacked / "vmlinux", image, versions,
                  tuple(unpacked / "modules" / f"{name}.ko"
                        for name in _modules(unpacked, HOST_MODULES)),
                  unpacked / "busybox")
