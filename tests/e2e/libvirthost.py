# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt host of our own: libvirtd and virtlogd in the sandbox, and guests under them.

Requires sandbox.enter(), so root; libvirt's QEMU driver, virsh and python3-libvirt.

    with LibvirtHost(work) as host:
        guest = host.define(Config("guest"))
        guest.start()
        guest.wait_ready()
        host.virsh("save", guest.name, path)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import libvirt

from . import assets, sandbox
from .guest import EMULATOR, Config, Console, make_disk, work_dir

URI = "qemu:///system"

_DAEMON_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:{log}"
"""

_QEMU_CONF = {
    "security_driver": '"none"',
    "namespaces": "[]",
    "cgroup_controllers": "[]",
    "user": '"root"',
    "group": '"root"',
    "dynamic_ownership": "0",
    "remember_owner": "0",
    "hugetlbfs_mount": "[]",
}

# libvirt's XML for Config; the NIC's ROM would need another package
_DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {max_mem}
  <memory unit='MiB'>{mem}</memory>
  <vcpu>{vcpus}</vcpu>
  <os>
    <type arch='ppc64' machine={machine}>hvm</type>
    {boot}
  </os>
  {features}
  <cpu mode='custom' match='exact' check='none'><model>{cpu}</model></cpu>
  <clock offset='utc'/>
  <on_reboot>destroy</on_reboot>
  <on_crash>preserve</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}'/>
      <source file={disk}/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <interface type='user'>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'>
      <source path={console} append='on'/>
    </serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class HostError(Exception):
    """The private libvirt did not do what it should."""


def _find(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise HostError(f"'{name}' is not installed")
    return path


class LibvirtGuest:
    """A domain of a LibvirtHost, with a disk and a console file of its own."""

    def __init__(self, host: LibvirtHost, config: Config) -> None:
        self.host = host
        self.config = config
        self.name = config.name
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{config.name}.libvirt-hpt.invalid"))
        self.disk = host.work / f"{config.name}.{config.disk_format}"
        self.console = Console(host.work / f"{config.name}.console")

    def xml(self, disk: Path | None = None) -> str:
        """The domain's definition, on another disk if one is given."""
        config = self.config
        boot = max_mem = features = ""
        if config.max_mem_mib:
            max_mem = f"<maxMemory slots='16' unit='MiB'>{config.max_mem_mib}</maxMemory>"
            features = "<features><hpt resizing='disabled'/></features>"
        if not config.firmware_only:
            software = assets.get()
            boot = (f"<kernel>{escape(str(software.kernel))}</kernel>"
                    f"<initrd>{escape(str(software.initramfs))}</initrd>"
                    f"<cmdline>{escape(config.cmdline)}</cmdline>")
        return _DOMAIN.format(
            name=escape(config.name), uuid=self.uuid, mem=config.mem_mib, vcpus=config.vcpus,
            max_mem=max_mem, features=features,
            machine=quoteattr(config.machine), boot=boot, cpu=escape(config.cpu),
            emulator=escape(EMULATOR), format=config.disk_format,
            disk=quoteattr(str(disk or self.disk)), console=quoteattr(str(self.console.path)))

    @property
    def domain(self) -> libvirt.virDomain:
        """libvirt's object, looked up anew: connections do not outlive a daemon's restart."""
        return self.host.connection.lookupByName(self.name)

    def define(self) -> None:
        """Make the disk and define the domain."""
        self.console.path.unlink(missing_ok=True)
        make_disk(self.disk, self.config)
        self.host.connection.defineXML(self.xml())

    def start(self) -> None:
        """Start it (from its managed save if there is one)."""
        self.domain.create()

    def wait_ready(self) -> dict[str, str]:
        """Wait until the guest runs its kernel; returns its own view."""
        return self.console.wait_ready()

    def state(self) -> str:
        """As virsh domstate says it: running, paused, shut off ..."""
        return self.host.virsh("domstate", self.name).strip()

    def save(self, path: Path) -> Path:
        """virsh save: the guest is off afterwards."""
        self.host.virsh("save", self.name, path)
        return path

    def restore(self, path: Path) -> None:
        """virsh restore."""
        self.host.virsh("restore", path)

    def managed_save(self) -> Path:
        """virsh managedsave; returns the file, which is libvirt's."""
        self.host.virsh("managedsave", self.name)
        return Path(f"/var/lib/libvirt/qemu/save/{self.name}.save")

    def destroy(self) -> None:
        """Pull the plug."""
        if self.domain.isActive():
            self.domain.destroy()

    def reboot(self) -> None:
        """Start it cold, whatever it is doing; its managed save is dropped."""
        self.destroy()
        if self.domain.hasManagedSaveImage():
            self.domain.managedSaveRemove()
        self.console.path.unlink(missing_ok=True)
        self.start()
        self.wait_ready()

    def undefine(self) -> None:
        """Forget the domain with its managed save and snapshot metadata, and remove its disk."""
        self.destroy()
        self.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                  libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        self.disk.unlink(missing_ok=True)


class LibvirtHost:
    """libvirtd and virtlogd; a context manager.  settings: further lines of qemu.conf."""

    def __init__(self, work: Path, **settings: str) -> None:
        if not sandbox.active():
            raise HostError("a private libvirt needs sandbox.enter() first")
        self.work = work_dir(work)
        self.settings = settings
        self.log = self.work / "libvirtd.log"
        self._connection: libvirt.virConnect | None = None
        self._daemons: dict[str, int] = {}

    def __enter__(self) -> LibvirtHost:
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        try:
            self._run("virtlogd")
            self._start()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        try:
            for domain in self.connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                domain.destroy()
        except libvirt.libvirtError as error:
            print(f"# e2e: guests are left to the sandbox: {error}")
        finally:
            self._stop_all()

    @property
    def connection(self) -> libvirt.virConnect:
        """A connection to the private libvirtd."""
        if self._connection is None:
            raise HostError("libvirtd does not run")
        return self._connection

    def _run(self, name: str) -> None:
        pidfile = Path("/run") / f"{name}.pid"
        subprocess.run([_find(name), "-d", "-p", pidfile], check=True)
        self._daemons[name] = int(pidfile.read_text())

    def _start(self) -> None:
        config = Path("/etc/libvirt")
        lines = {**_QEMU_CONF, **self.settings}
        (config / "qemu.conf").write_text("".join(f"{key} = {value}\n"
                                                  for key, value in lines.items()))
        (config / "libvirtd.conf").write_text(_DAEMON_CONF.format(log=self.log))
        (config / "virtlogd.conf").touch()
        self._run("libvirtd")
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connection = libvirt.open(URI)
                return
            except libvirt.libvirtError as error:
                if time.monotonic() > deadline or not self._alive("libvirtd"):
                    raise HostError(f"no private libvirtd: {error}\n{self.messages()}") from error
                time.sleep(0.1)

    def _alive(self, name: str) -> bool:
        try:
            os.kill(self._daemons[name], 0)
        except ProcessLookupError:
            return False
        return True

    def _stop(self, name: str) -> None:
        pid = self._daemons.pop(name, None)
        if pid is None:
            return
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            try:
                os.kill(pid, number)
                deadline = time.monotonic() + patience
                while time.monotonic() < deadline:
                    os.kill(pid, 0)
                    time.sleep(0.02)
            except ProcessLookupError:
                return

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _stop_all(self) -> None:
        self._close()
        for name in ("libvirtd", "virtlogd"):
            self._stop(name)

    def restart(self, **settings: str) -> None:
        """Restart libvirtd with other lines of qemu.conf; guests stay."""
        self.settings = settings
        self._close()
        self._stop("libvirtd")
        self._start()

    def virsh(self, *arguments: str | Path) -> str:
        """Run virsh on this host; returns what it printed, raises HostError if it failed."""
        done = subprocess.run(["virsh", "-q", "-c", URI, *arguments], check=False, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            command = " ".join(str(argument) for argument in arguments)
            raise HostError(f"virsh {command}: {done.stderr.strip()}")
        return done.stdout

    def define(self, config: Config) -> LibvirtGuest:
        """A guest with a new disk, defined but not started."""
        guest = LibvirtGuest(self, config)
        guest.define()
        return guest

    def messages(self) -> str:
        """The daemon's log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
