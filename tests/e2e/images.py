# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the images that the tool is tested on, from running guests, and facts about each.

    python3 -m e2e.images [--out DIR] [--list] [NAME...]

Beside each NAME lies NAME.json with what is known without reading the image: what the guest is, what
it said of itself, who wrote the image and how.  Images that this machine's QEMU or libvirt cannot
make have only the JSON, with the reason under "unavailable".  Requires root; the network once, for
the guest's packages.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Callable

import libvirt

from . import assets, sandbox
from .guest import Config, GuestError, QemuGuest, emulator_version
from .libvirthost import LibvirtGuest, LibvirtHost

READ = "read"                   # a reader must read it, and right
UNSUPPORTED = "unsupported"     # a reader must say that it is not supported
EITHER = "either"               # right or unsupported, but not wrong
TORN = "torn"                   # a reader must fail: no consistent table is in it


class Unavailable(Exception):
    """This machine's software cannot make the image."""


@dataclass(frozen=True)
class Kind:
    """What is known of an image before it is made."""

    group: str
    expect: str
    about: str


P8 = Config("qemu-power8", shared_memory=True)
P9 = Config("qemu-power9", cpu="POWER9", disable_radix=True, mem_mib=1024)
RADIX = Config("qemu-radix", cpu="POWER9")
FIRMWARE = Config("qemu-firmware", mem_mib=2048, firmware_only=True)
LV8 = Config("libvirt-power8", disk_format="qcow2")
LV9 = Config("libvirt-power9", cpu="POWER9", disable_radix=True, disk_format="qcow2")
LVRADIX = Config("libvirt-radix", cpu="POWER9", disk_format="qcow2")
LVFIRMWARE = Config("libvirt-firmware", firmware_only=True, mem_mib=256)

COMPRESSED = ("gzip", "bzip2", "xz", "lzop", "zstd")

IMAGES: dict[str, Kind] = {
    "stream-power8": Kind("power8", READ, "the guest stopped, QEMU 'exec:'"),
    "stream-live": Kind("power8", READ, "the guest running, several passes, invalid runs"),
    "stream-xbzrle": Kind("power8", READ, "xbzrle, several passes"),
    "stream-compress": Kind("power8", READ, "capability 'compress' (QEMU up to 9.0)"),
    "stream-return-path": Kind("power8", READ, "capability 'return-path' over a socket"),
    "stream-dirty-bitmaps": Kind("power8", EITHER, "'dirty-bitmaps': POSTCOPY_ADVISE, one bitmap"),
    "stream-postcopy": Kind("power8", EITHER, "'postcopy-ram' advised but not used"),
    "stream-ignore-shared": Kind("power8", EITHER, "'x-ignore-shared': no RAM contents"),
    "stream-background": Kind("power8", TORN, "'background-snapshot'"),
    "stream-mapped-ram": Kind("power8", READ, "'mapped-ram' to a file (QEMU 9.0 and later)"),
    "stream-power9": Kind("power9", READ, "hash on POWER9, 1 GiB"),
    "stream-radix": Kind("radix", READ, "radix on POWER9"),
    "stream-firmware": Kind("firmware", READ, "in firmware, 2 GiB: a table without entries"),
    "stream-gzip": Kind("firmware", UNSUPPORTED, "a bare stream, compressed with gzip"),
    "save-running": Kind("libvirt", READ, "virsh save of a running guest"),
    "save-paused": Kind("libvirt", READ, "virsh save of a paused guest"),
    "save-managed": Kind("libvirt", READ, "virsh managedsave"),
    "save-managed-next": Kind("libvirt", READ, "the same guest's next managedsave"),
    "save-partial": Kind("libvirt", UNSUPPORTED, "a save that was not finished"),
    **{f"save-{name}": Kind("libvirt9", UNSUPPORTED, f"save_image_format = {name}")
       for name in COMPRESSED},
    "snapshot-memory": Kind("libvirt", READ, "external snapshot's memory"),
    "snapshot-internal": Kind("libvirt", UNSUPPORTED, "qcow2 disk with an internal snapshot"),
    "dump-stream": Kind("libvirt", READ, "virsh dump: a bare stream"),
    "dump-elf": Kind("libvirt", UNSUPPORTED, "virsh dump --memory-only, the first MiB"),
    "save-power9": Kind("libvirt9", READ, "virsh save, hash on POWER9"),
    "save-radix": Kind("libvirt9", READ, "virsh save, radix on POWER9"),
    "save-firmware": Kind("libvirt9", READ, "virsh save in firmware"),
}


@dataclass
class Maker:
    """Makes the wanted images into out; work is for what is not kept."""

    out: Path
    work: Path
    wanted: frozenset[str]

    def path(self, name: str) -> Path:
        return self.out / name

    def wants(self, *names: str) -> bool:
        """Whether any of those is asked for."""
        return not self.wanted.isdisjoint(names)

    def make(self, name: str, config: Config, guest: dict[str, str],
             write: Callable[[Path], object], **facts: Any) -> None:
        """Make one image, if it is wanted: write(path) writes it, facts go to the JSON."""
        if name not in self.wanted:
            return
        began = time.monotonic()
        kind = IMAGES[name]
        partial = self.work / f"{name}.new"
        known: dict[str, Any] = {
            "name": name, "expect": kind.expect, "about": kind.about, "config": asdict(config),
            "mmu": config.mmu, "order": config.order if config.mmu == "hash" else None,
            "guest": guest, "qemu": emulator_version(), "libvirt": libvirt.getVersion(), **facts}
        try:
            known["result"] = write(partial)
            partial.chmod(0o600)
            partial.rename(self.path(name))
        except Unavailable as reason:
            known["unavailable"] = str(reason)
        known["seconds"] = round(time.monotonic() - began, 1)
        text = json.dumps(known, indent=1, sort_keys=True, default=str)
        temporary = self.work / f"{name}.json"
        temporary.write_text(text + "\n")
        temporary.rename(self.out / f"{name}.json")
        print(f"# made {name} in {known['seconds']} s {known.get('unavailable', '')}", flush=True)


def _needs(guest: QemuGuest, capability: str) -> None:
    if capability not in guest.capabilities():
        raise Unavailable(f"QEMU {guest.qmp.version} has no capability '{capability}'")


def make_power8(maker: Maker) -> None:
    """One POWER8 guest, many kinds of streams, one after the other."""
    with QemuGuest(P8, maker.work / "power8") as guest:
        ready = guest.wait_ready()

        def stream(name: str, *capabilities: str, **how: Any) -> None:
            def write(path: Path) -> object:
                for capability in capabilities:
                    _needs(guest, capability)
                return guest.migrate(path, capabilities=capabilities, **how)
            guest.console.wait_count(1)
            maker.make(name, P8, ready, write, kind="stream", capabilities=capabilities)

        stream("stream-power8")
        stream("stream-live", live=True, passes=4)
        stream("stream-xbzrle", "xbzrle", live=True, passes=3)
        stream("stream-compress", "compress")
        stream("stream-return-path", "return-path", transport="socket")
        stream("stream-postcopy", "postcopy-ram", transport="socket")
        stream("stream-ignore-shared", "x-ignore-shared")
        stream("stream-mapped-ram", "mapped-ram", transport="file")
        if maker.wants("stream-dirty-bitmaps"):
            guest.qmp.command("block-dirty-bitmap-add", node="disk0", name="e2e")
            stream("stream-dirty-bitmaps", "dirty-bitmaps")
            guest.qmp.command("block-dirty-bitmap-remove", node="disk0", name="e2e")
        stream("stream-background", "background-snapshot", live=True)
        guest.console.wait_count(1)


def _one_stream(maker: Maker, name: str, config: Config) -> None:
    with QemuGuest(config, maker.work / name) as guest:
        ready = guest.wait_ready()
        maker.make(name, config, ready, guest.migrate, kind="stream")


def make_power9(maker: Maker) -> None:
    """Hash on POWER9."""
    _one_stream(maker, "stream-power9", P9)


def make_radix(maker: Maker) -> None:
    """Radix on POWER9."""
    _one_stream(maker, "stream-radix", RADIX)


def make_firmware(maker: Maker) -> None:
    """A guest that has not booted, and its stream once more through gzip."""
    with QemuGuest(FIRMWARE, maker.work / "firmware") as guest:
        guest.wait_ready()
        maker.make("stream-firmware", FIRMWARE, {}, guest.migrate, kind="stream")

        def compressed(path: Path) -> None:
            plain = maker.work / "plain"
            guest.migrate(plain)
            path.write_bytes(gzip.compress(plain.read_bytes(), 1))

        maker.make("stream-gzip", FIRMWARE, {}, compressed, kind="stream", format="gzip")


def _save_and_restore(guest: LibvirtGuest, path: Path) -> None:
    guest.save(path)
    guest.restore(path)


def _format_available(host: LibvirtHost, name: str) -> None:
    if name == "zstd" and libvirt.getVersion() < 10_004_000:
        raise Unavailable("libvirt before 10.4.0 has no zstd save images")
    if shutil.which(name) is None:
        raise Unavailable(f"'{name}' is not installed")
    host.restart(save_image_format=f'"{name}"')


def make_libvirt(maker: Maker) -> None:
    """One POWER8 guest under libvirt: everything libvirt writes."""
    with LibvirtHost(maker.work / "libvirt") as host:
        guest = host.define(LV8)
        guest.start()
        ready = guest.wait_ready()

        def make(name: str, write: Callable[[Path], object], **facts: Any) -> None:
            if not maker.wants(name):
                return
            try:
                guest.console.settle()
            except GuestError as error:
                # TCG does lose an interrupt now and then; what is made next must not depend on it
                print(f"# {error}; starting it anew")
                guest.reboot()
                guest.console.settle()
            maker.make(name, LV8, ready, write, uuid=guest.uuid,
                       **{"kind": "save-image", "format": "raw", **facts})

        def dump_elf(path: Path) -> None:
            host.virsh("dump", guest.name, path, "--memory-only", "--live")
            os.truncate(path, 1 << 20)

        def managed(path: Path) -> None:
            shutil.copyfile(guest.managed_save(), path)
            guest.start()

        def paused(path: Path) -> None:
            host.virsh("suspend", guest.name)
            _save_and_restore(guest, path)
            host.virsh("resume", guest.name)

        def partial(path: Path) -> None:
            _save_and_restore(guest, path)
            with open(path, "r+b") as image:
                image.write(b"LibvirtQemudPart")

        make("dump-stream", lambda path: host.virsh("dump", guest.name, path, "--live"),
             kind="stream")
        make("dump-elf", dump_elf, kind="elf")
        make("save-running", lambda path: _save_and_restore(guest, path), was_running=True)
        make("save-partial", partial)
        make("save-managed", managed, was_running=True)
        make("save-managed-next", managed, was_running=True)
        make("save-paused", paused, was_running=False)
        make_snapshots(maker, guest, make)


def make_snapshots(maker: Maker, guest: LibvirtGuest,
                   make: Callable[..., None]) -> None:
    """Both kinds of snapshots; the guest is off afterwards."""
    host = guest.host

    def internal(path: Path) -> None:
        host.virsh("snapshot-create-as", guest.name, "internal")
        host.virsh("suspend", guest.name)
        shutil.copyfile(guest.disk, path)
        host.virsh("resume", guest.name)

    def external(path: Path) -> None:
        overlay = guest.disk.with_suffix(".overlay")
        host.virsh("snapshot-create-as", guest.name, "external",
                   "--memspec", f"file={path},snapshot=external",
                   "--diskspec", f"vda,file={overlay},snapshot=external")

    make("snapshot-internal", internal, kind="qcow2")
    make("snapshot-memory", external, was_running=True)
    guest.console.wait_count(1)
    guest.destroy()


def make_libvirt9(maker: Maker) -> None:
    """Smaller things under libvirt, one guest each."""
    with LibvirtHost(maker.work / "libvirt9") as host:
        for name, config in (("save-power9", LV9), ("save-radix", LVRADIX),
                             ("save-firmware", LVFIRMWARE)):
            if not maker.wants(name):
                continue
            guest = host.define(replace(config, name=name))
            guest.start()
            if config.firmware_only:
                guest.console.wait_for("0 > ")
                ready = {}
            else:
                ready = guest.wait_ready()
            maker.make(name, config, ready, guest.save, uuid=guest.uuid, kind="save-image",
                       format="raw", was_running=True)
            guest.undefine()
        make_compressed(maker, host)


def make_compressed(maker: Maker, host: LibvirtHost) -> None:
    """One guest in its firmware, whose memory is soon compressed."""
    guest = host.define(replace(LVFIRMWARE, name="save-compressed"))
    for name in COMPRESSED:
        def compressed(path: Path, name: str = name) -> None:
            _format_available(host, name)
            guest.start()
            guest.save(path)
        if maker.wants(f"save-{name}"):
            maker.make(f"save-{name}", guest.config, {}, compressed, uuid=guest.uuid,
                       kind="save-image", format=name)
    guest.undefine()


# One thread of work each; the two libvirt groups share the daemon's directories, so one thread
_THREADS: tuple[tuple[Callable[[Maker], None], ...], ...] = (
    (make_libvirt, make_libvirt9),
    (make_power8, make_power9, make_radix, make_firmware),
)


def missing(out: Path, names: frozenset[str]) -> frozenset[str]:
    """Which of those are not there."""
    return frozenset(name for name in names if not (out / f"{name}.json").exists())


def key() -> str:
    """What images depend on: the software that makes them."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for name in ("assets.py", "guest.py", "guest-init.sh", "images.py", "libvirthost.py",
                 "qmp.py", "sandbox.py"):
        digest.update((here / name).read_bytes())
    tools = [name for name in COMPRESSED if shutil.which(name)]
    digest.update(json.dumps([emulator_version(), libvirt.getVersion(), tools,
                              assets.get().versions], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def default_out() -> Path:
    """The cache for this software's images; of others the two used last stay, and what a run may
    still be using."""
    base = assets.cache_dir() / "images"
    base.mkdir(exist_ok=True)
    out = base / key()
    out.mkdir(exist_ok=True)
    os.utime(out)
    by_use = sorted((path for path in base.iterdir() if path.is_dir()),
                    key=lambda path: path.stat().st_mtime, reverse=True)
    for other in by_use[3:]:
        if other.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(other, ignore_errors=True)
    return out


def make_all(out: Path, names: frozenset[str] = frozenset(IMAGES)) -> None:
    """Make those of the named images that are missing; needs sandbox.enter()."""
    out = out.resolve()
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    with assets.locked(out / ".lock"):
        for stale in out.glob(".work*"):
            shutil.rmtree(stale)
        todo = missing(out, names)
        if not todo:
            return
        maker = Maker(out, out / ".work", todo)
        maker.work.mkdir()

        def run(groups: tuple[Callable[[Maker], None], ...]) -> None:
            for group in groups:
                label = group.__name__.removeprefix("make_")
                if any(IMAGES[name].group == label for name in todo):
                    group(maker)

        try:
            with ThreadPoolExecutor(len(_THREADS)) as pool:
                for done in [pool.submit(run, groups) for groups in _THREADS]:
                    done.result()
        finally:
            shutil.rmtree(maker.work, ignore_errors=True)
        left = missing(out, names)
        if left:
            raise RuntimeError(f"not made: {', '.join(sorted(left))}")


def load_facts(out: Path, name: str) -> dict[str, Any]:
    """NAME.json."""
    return json.loads((out / f"{name}.json").read_text())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make images of pseries guests (needs root).")
    parser.add_argument("--out", type=Path, help="directory (default: a cache)")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if options.list:
        for name, kind in IMAGES.items():
            print(f"{name:22} {kind.expect:12} {kind.about}")
        return 0
    unknown = sorted(set(options.names) - set(IMAGES))
    if unknown:
        parser.error(f"no such image: {', '.join(unknown)}")
    sandbox.enter()
    out = options.out or default_out()
    make_all(out, frozenset(options.names or IMAGES))
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
