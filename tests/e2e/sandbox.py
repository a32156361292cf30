# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces of our own, so that nothing here can disturb the machine or outlive the run.

enter() moves the calling program into new PID, mount, network and IPC namespaces.  In them libvirt's
directories are empty and private, its user exists, /run is empty (no system D-Bus, no other libvirt), and the
only network is the loopback.  When the program ends, however it ends, the kernel kills all that it
started and drops the mounts.  Requires root.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from . import assets

# linux/sched.h, sys/mount.h, sys/prctl.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MS_BIND = 1 << 12
_MS_PRIVATE_REC = (1 << 18) | (1 << 14)
_PR_SET_PDEATHSIG = 1

PRIVATE_DIRS = ("/etc/libvirt", "/var/lib/libvirt", "/var/lib/libvirt-hpt", "/var/cache/libvirt",
                "/var/log/libvirt")

_libc = ctypes.CDLL(None, use_errno=True)
_active = False


class SandboxError(Exception):
    """The private namespaces cannot be made."""


def active() -> bool:
    """Whether this process is in the private namespaces."""
    return _active


def _call(what: str, result: int) -> None:
    if result != 0:
        raise SandboxError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, fstype: str | None, flags: int = 0, data: str = "") -> None:
    _call(f"mount {fstype or source} on '{target}'",
          _libc.mount(source.encode(), target.encode(), fstype and fstype.encode(),
                      ctypes.c_ulong(flags), data.encode()))


def _private_dirs(paths: tuple[str, ...], scratch: Path) -> None:
    """An empty private directory at each path; one that is missing is not made on the machine."""
    layered = set()
    for path in paths:
        if os.path.isdir(path):
            continue
        parent = os.path.dirname(path)
        if parent not in layered:
            layer = scratch / parent.strip("/").replace("/", "-")
            for name in ("upper", "work"):
                (layer / name).mkdir(parents=True, exist_ok=True)
            _mount("overlay", parent, "overlay",
                   data=f"lowerdir={parent},upperdir={layer}/upper,workdir={layer}/work")
            layered.add(parent)
        os.mkdir(path)
    for path in paths:
        _mount("tmpfs", path, "tmpfs", data="mode=0755")


def _add_account(scratch: Path) -> None:
    """The user and group that Debian's libvirt insists on, if its system package has not made
    them; seen only in the sandbox.  Nothing runs under them."""
    name, number = "libvirt-qemu", 64055
    lines = {"passwd": f"{name}:x:{number}:{number}::/var/lib/libvirt:/usr/sbin/nologin\n",
             "group": f"{name}:x:{number}:\n"}
    for database, line in lines.items():
        text = Path("/etc", database).read_text(encoding="utf-8")
        if f"\n{name}:" not in text:
            copy = scratch / database
            copy.write_text(text + line, encoding="utf-8")
            copy.chmod(0o644)
            _mount(str(copy), f"/etc/{database}", None, _MS_BIND)


def _set_up() -> None:
    """Mounts of the new world; runs as its process 1."""
    _mount("none", "/", None, _MS_PRIVATE_REC)
    _mount("proc", "/proc", "proc", _MS_NOSUID_NODEV_NOEXEC)
    _mount("tmpfs", "/run", "tmpfs", data="mode=0755")
    scratch = Path("/run/e2e")
    scratch.mkdir()
    _private_dirs(PRIVATE_DIRS, scratch)
    _add_account(scratch)
    for name in ("lock", "libvirt", "user"):
        Path("/run", name).mkdir()


def _loopback_up() -> None:
    """Bring up lo, by ioctl so that no package is needed."""
    import fcntl
    import socket
    import struct
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(sock, siocgifflags, request))[1]
        fcntl.ioctl(sock, siocsifflags, struct.pack("16sH22x", b"lo", flags | iff_up))


def _follow(child: int, patience: int = 0) -> int:
    """Pass signals on to the child, reap whatever ends, return the child's exit status.

    patience: seconds that the child has after a signal; 0: as long as it takes.
    """
    def forward(received: int, _frame: object) -> None:
        os.kill(child, received)
        signal.alarm(patience)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, forward)
    signal.signal(signal.SIGALRM, lambda _received, _frame: _exit(1))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def enter() -> None:
    """Continue in the private namespaces; the caller's process waits outside and dies with us.

    The guests' software is fetched first, if it is not there yet: inside there is no network.

    Three processes: the original one passes signals and the exit status; process 1 of the new
    PID namespace reaps orphans (libvirt waits for its QEMUs to be gone, and they are no one's
    children); the third returns from here.
    """
    global _active
    if _active:
        return
    if os.geteuid() != 0:
        raise SandboxError("the end-to-end tests need root: "
                           "they make namespaces and run a private libvirtd")
    assets.get()
    sys.stdout.flush()
    sys.stderr.flush()
    _call("unshare", _libc.unshare(_CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWPID | _CLONE_NEWNET))
    first = os.fork()
    if first != 0:
        _exit(_follow(first))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        _set_up()
        _loopback_up()
    except (SandboxError, OSError) as error:
        print(f"e2e: {error}", file=sys.stderr)
        _exit(1)
    harness = os.fork()
    if harness != 0:
        _exit(_follow(harness, patience=10))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    _active = True
