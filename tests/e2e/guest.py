# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test guests: what they are, what they say on their console, and QEMU driven directly.

Requires qemu-system-ppc64; guests run under TCG, so no /dev/kvm.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Sequence

from . import assets
from .qmp import Qmp, QmpError

EMULATOR = shutil.which("qemu-system-ppc64") or "/usr/bin/qemu-system-ppc64"

FIRMWARE_PROMPT = "0 > "


class GuestError(Exception):
    """A guest did not do what it should."""


@dataclass(frozen=True)
class Config:
    """A guest, whoever runs it."""

    name: str
    cpu: str = "POWER8"
    disable_radix: bool = False     # hash on a CPU that can do radix
    mem_mib: int = 512
    max_mem_mib: int = 0            # what hotplug could grow it to; the table's size is fixed by it
                                    # (libvirt only)
    fill_mib: int = 0               # memory in use, besides what the guest needs itself
    load: str = ""                  # what it does (guest-init.sh); else what a test needs
    vcpus: int = 1
    firmware_only: bool = False     # stops at SLOF's prompt: a table without entries
    shared_memory: bool = False     # a shared memory backend (direct QEMU only)
    machine: str = "pseries"
    disk_format: str = "raw"
    disk_mib: int = 16

    @property
    def mmu(self) -> str:
        """What the guest will use, by the rule: POWER9 and later take radix unless told."""
        if self.cpu.upper() in ("POWER7", "POWER8") or self.disable_radix or self.firmware_only:
            return "hash"
        return "radix"

    @property
    def order(self) -> int:
        """log2 of the HPT's size in bytes: RAM / 128, rounded up to a power of two."""
        ram = max(self.mem_mib, self.max_mem_mib) << 20
        return min(46, max(18, (ram - 1).bit_length() - 7))

    @property
    def cmdline(self) -> str:
        """The kernel's arguments."""
        return ("console=hvc0 panic=-1" + (" disable_radix" if self.disable_radix else "") +
                (f" e2e.fill={self.fill_mib}" if self.fill_mib else "") +
                (f" e2e.load={self.load}" if self.load else ""))


class Console:
    """What the guest has printed so far; its /init is guest-init.sh."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self) -> str:
        """All of it."""
        if not self.path.exists():
            return ""
        return self.path.read_bytes().decode(errors="replace").replace("\r", "")

    def counter(self) -> int:
        """The last count the guest printed; it lives in its memory.  0 if there is none."""
        counts = re.findall(r"^E2E TICK (\d+)\n", self.text(), re.MULTILINE)
        return int(counts[-1]) if counts else 0

    def ready(self) -> dict[str, str]:
        """The guest's own view: boot, mmu, pft (order), page, vda, nic, mem, release, cpu."""
        match = re.search(r"^E2E READY (.*)\n", self.text(), re.MULTILINE)
        if match is None:
            return {}
        # The kernel writes to the same console, also within a line
        return dict(item.split("=", 1) for item in match[1].split() if "=" in item)

    def failures(self) -> list[str]:
        """What the guest complained of: modules, its disk, or its kernel."""
        return re.findall(r"^(E2E FAILED.*|.*(?:Oops|Kernel panic|BUG:).*)$", self.text(),
                          re.MULTILINE)

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Wait until the console shows text."""
        deadline = time.monotonic() + timeout
        while text not in self.text():
            if time.monotonic() > deadline:
                raise GuestError(f"no '{text}' within {timeout:.0f} s; the console ends with:\n"
                                 f"{self.text()[-2000:]}")
            time.sleep(0.1)

    def wait_ready(self, timeout: float = 120) -> dict[str, str]:
        """Wait until the guest runs; returns its own view."""
        self.wait_for("E2E READY ", timeout)
        self.wait_for("E2E TICK ", timeout)
        if self.failures():
            raise GuestError(f"the guest is not well: {self.failures()[0]}")
        return self.ready()

    def wait_count(self, more: int = 2, timeout: float = 60) -> int:
        """Wait until the guest has counted on (it runs); returns the count."""
        first, deadline = self.counter(), time.monotonic() + timeout
        while self.counter() < first + more:
            if time.monotonic() > deadline:
                raise GuestError(f"the guest stands still at {first}")
            time.sleep(0.1)
        return self.counter()


    def settle(self, timeout: float = 60) -> int:
        """Wait for the start of a second without disk I/O; returns the count.

        QEMU under TCG loses an interrupt that is pending when a guest is saved: a guest that is to
        run on after a restore should be saved at such a moment.
        """
        self.wait_for(f"E2E IDLE {self.counter() + 1}\n", timeout)
        return self.counter()


def make_disk(path: Path, config: Config) -> Path:
    """An empty disk for the guest."""
    subprocess.run(["qemu-img", "create", "-q", "-f", config.disk_format, path,
                    f"{config.disk_mib}M"], check=True)
    return path


@dataclass
class QemuGuest:
    """A guest under a QEMU of our own, driven over QMP.  A context manager.

    incoming: None, or QEMU's -incoming argument; such a guest starts paused (-S).
    """

    config: Config
    work: Path
    incoming: str | None = None
    disk: Path | None = None
    pass_fds: Sequence[int] = ()
    qmp: Qmp = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self.console = Console(self.work / f"{self.config.name}.console")
        self.log = self.work / f"{self.config.name}.qemu"

    def arguments(self) -> list[str]:
        """QEMU's command line, without the monitor."""
        config = self.config
        machine = config.machine
        argv = [EMULATOR, "-nodefaults", "-nographic", "-accel", "tcg", "-cpu", config.cpu,
                "-m", str(config.mem_mib), "-smp", str(config.vcpus), "-name", config.name]
        if config.shared_memory:
            # The name that RAM has without a backend, so that streams stay the same
            machine += ",memory-backend=ppc_spapr.ram"
            argv += ["-object", "memory-backend-memfd,id=ppc_spapr.ram,share=on,"
                                f"size={config.mem_mib}M"]
        argv += ["-M", machine, "-serial", f"file:{self.console.path}"]
        if not config.firmware_only:
            software = assets.get()
            argv += ["-kernel", str(software.kernel), "-initrd", str(software.initramfs),
                     "-append", config.cmdline]
        argv += ["-drive", f"if=none,id=disk0,file={self.disk},format={config.disk_format}",
                 "-device", "virtio-blk-pci,drive=disk0,addr=2",
                 "-netdev", "user,id=net0",
                 "-device", "virtio-net-pci,netdev=net0,romfile=,addr=3"]
        if self.incoming is not None:
            argv += ["-S", "-incoming", self.incoming]
        return argv

    def __enter__(self) -> QemuGuest:
        if self.disk is None:
            self.disk = make_disk(self.work / f"{self.config.name}.disk", self.config)
        self.console.path.unlink(missing_ok=True)
        ours, theirs = socket.socketpair()
        with theirs, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*self.arguments(), "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                 "-mon", "chardev=qmp,mode=control"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), *self.pass_fds))
        try:
            self.qmp = Qmp(ours)
        except BaseException:
            self.process.kill()
            self.process.wait()
            ours.close()
            print(f"e2e: QEMU said: {self.messages()}")
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.qmp.close()
        self.process.kill()
        self.process.wait()

    def messages(self) -> str:
        """What QEMU itself has printed."""
        return self.log.read_text(errors="replace")

    def wait_ready(self) -> dict[str, str]:
        """Wait until the guest is where its configuration says; returns its own view."""
        if self.config.firmware_only:
            self.console.wait_for(FIRMWARE_PROMPT)
            return {}
        return self.console.wait_ready()

    def capabilities(self) -> set[str]:
        """The migration capabilities this QEMU knows."""
        return {entry["capability"] for entry in self.qmp.command("query-migrate-capabilities")}

    def _set_capabilities(self, names: Sequence[str], state: bool) -> None:
        if names:
            self.qmp.command("migrate-set-capabilities", capabilities=[
                {"capability": name, "state": state} for name in names])

    def migrate(self, path: Path, *, live: bool = False, passes: int = 0,
                capabilities: Sequence[str] = (), parameters: dict[str, Any] | None = None,
                transport: str = "exec", timeout: float = 120) -> dict[str, Any]:
        """Write the guest's migration stream to path; the guest is as before afterwards.

        live: it runs meanwhile.  passes: keep it from converging until so many passes over RAM
        were made.  transport: "exec", "file" (QEMU 8.2 and later, for mapped-ram) or "socket" (for
        capabilities with a return path).  Returns the final query-migrate.
        """
        running = self.qmp.command("query-status")["running"]
        if running and not live:
            self.qmp.command("stop")
        path.unlink(missing_ok=True)
        settings = {"max-bandwidth": 1 << 40, "downtime-limit": 300}
        if passes:
            # Not 0: QEMU looks for changed pages only when less than the limit's worth is left
            settings = {"max-bandwidth": 32 << 20, "downtime-limit": 1}
        settings.update(parameters or {})
        self._set_capabilities(capabilities, True)
        try:
            self.qmp.command("migrate-set-parameters", **settings)
            with contextlib.ExitStack() as stack:
                if transport == "socket":
                    uri = stack.enter_context(self._receiver(path))
                elif transport == "file":
                    uri = f"file:{path}"
                else:
                    uri = f"exec:cat > {shlex.quote(str(path))}"
                self.qmp.command("migrate", uri=uri)
                info = self._wait_migration(path, passes, timeout)
        finally:
            self._set_capabilities(capabilities, False)
        if running:
            self.qmp.command("cont")
            self.qmp.wait_status("running")
        return info

    @contextlib.contextmanager
    def _receiver(self, path: Path) -> Iterator[str]:
        """A destination that takes all, says it is well, and writes it to path; gives the URI."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.qmp.command("getfd", fd=theirs.fileno(), fdname="e2e")
        ours.settimeout(0.3)

        def receive() -> None:
            data, open_path = b"", True
            with open(path, "wb") as out:
                while True:
                    try:
                        data = ours.recv(1 << 20)
                    except TimeoutError:
                        # Quiet after the end of the JSON: all is there.  Say what a destination
                        # says when it has loaded it: MIG_RP_MSG_SHUT, 4 bytes, no error
                        if open_path and data.endswith(b"}"):
                            ours.sendall(struct.pack(">HHI", 1, 4, 0))
                            open_path = False
                        continue
                    except OSError:
                        return
                    if not data:
                        return
                    out.write(data)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        try:
            yield "fd:e2e"
            thread.join(10)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()
            ours.close()

    def _wait_migration(self, path: Path, passes: int, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            info = self.qmp.command("query-migrate")
            status = info.get("status")
            if status == "completed":
                return info
            if status in ("failed", "cancelled"):
                raise GuestError(f"migration to '{path}' {status}: {info.get('error-desc')} "
                                 f"{self.messages()}")
            if passes and info.get("ram", {}).get("dirty-sync-count", 0) > passes:
                self.qmp.command("migrate-set-parameters", max_bandwidth=1 << 40,
                                 downtime_limit=2000)
                passes = 0
            if time.monotonic() > deadline:
                self.qmp.command("migrate_cancel")
                raise GuestError(f"migration to '{path}' is still '{status}'")
            time.sleep(0.05)

    def loaded(self, timeout: float = 60) -> None:
        """Wait until an incoming stream was accepted; the guest is then paused."""
        try:
            status = self.qmp.wait_status("paused", "prelaunch", timeout=timeout)
            info = self.qmp.command("query-migrate")
        except QmpError as error:
            self.process.wait(10)
            raise GuestError(f"QEMU did not load the stream: {self.messages()}") from error
        if info.get("status") not in (None, "completed"):
            raise GuestError(f"QEMU is {status}, migration {info}: {self.messages()}")


def emulator_version() -> str:
    """The version of qemu-system-ppc64, as it says it."""
    done = subprocess.run([EMULATOR, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[0]


def work_dir(path: Path) -> Path:
    """path, absolute, made if missing, usable by QEMU."""
    path = Path(os.path.abspath(path))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
