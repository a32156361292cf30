# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the QEMU of a dry run has an account that nobody else has and a world that holds nothing of
the host's but programs: what it could reach if a hostile machine state took it over.
Requires images of real guests (root), QEMU and libvirt."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

from .support import CONTEXT, GOOD, WARNINGS, copy, image
from .test_dryrun import DryRunTestCase, emulators

# Of <linux/capability.h>
SYS_ADMIN, SYS_PTRACE, SYS_MODULE, MKNOD, DAC_READ_SEARCH, SYS_RAWIO = 21, 19, 16, 27, 2, 17
ACCOUNTS = range(65000, 65520)
IMAGES = Path("/var/lib/libvirt/images")
TOP = {"bin", "cache", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr"}


def fields(pid: int) -> dict[str, str]:
    """/proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def is_qemu(pid: int) -> bool:
    """Whether this is the emulator, in its sandbox already."""
    try:
        return (b"guest=dry-run" in Path(f"/proc/{pid}/cmdline").read_bytes() and
                fields(pid)["Seccomp"] == "2")
    except (OSError, KeyError, ValueError):
        return False


class Stopped:
    """A dry run whose libvirt stands still while its QEMU runs."""

    def __init__(self, process: subprocess.Popen[bytes], libvirt: int, qemu: int) -> None:
        self.process = process
        self.libvirt = libvirt
        self.qemu = qemu
        self.root = Path(f"/proc/{qemu}/root")

    def shell(self, command: str) -> str:
        """What a command prints that runs where QEMU runs, as the account of QEMU."""
        account = fields(self.qemu)["Uid"].split()[0]
        return subprocess.run(
            ["nsenter", "-t", str(self.qemu), "-m", "-n", "-i", "-r", "setpriv", "--reuid", account,
             "--regid", account, "--clear-groups", "--bounding-set=-all", "--no-new-privs",
             "env", "-C", "/", "sh", "-c", command],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL).stdout


class World(DryRunTestCase):
    """What the emulator of a dry run sees and may do."""

    def setUp(self) -> None:
        super().setUp()
        path = copy(image("save-running"), self.work / "image")
        self.expect(GOOD, "record", path)
        path.unlink()
        self.record = path.with_name("image.hpt")
        self.dry_run(GOOD, self.record)         # fills the cache

    def catch(self, *options: str) -> Stopped:
        """A dry run whose libvirt is stopped in its middle."""
        for _ in range(20):
            others = set(emulators())
            process = subprocess.Popen(
                [CONTEXT.tool, "validate", "--json", *options, self.record],
                stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            found: list[int] = []
            while process.poll() is None and not found:
                found = [pid for pid in set(emulators()) - others if is_qemu(pid)]
                time.sleep(0.001)
            if found:
                libvirt = max(set(emulators()) - others - set(found), default=0)
                if libvirt:
                    os.kill(libvirt, signal.SIGSTOP)
                    time.sleep(0.1)
                if libvirt and all(is_qemu(pid) for pid in found):
                    return Stopped(process, libvirt, found[0])
            process.kill()
            process.communicate()
        self.fail("no emulator of a dry run was seen")

    @contextmanager
    def stopped(self) -> Iterator[Stopped]:
        """A dry run that is stopped in its middle, and must pass when it goes on."""
        run = self.catch("--level", "dry-run")
        try:
            yield run
            os.kill(run.libvirt, signal.SIGCONT)
            self.assertEqual(0, run.process.wait(30))
        finally:
            run.process.kill()
            run.process.communicate()

    def assert_timeout(self, run: Stopped) -> None:
        """It is ended at its deadline, says so, and leaves nothing."""
        try:
            out, _ = run.process.communicate(timeout=30)
        finally:
            run.process.kill()
        self.assertEqual(run.process.returncode, WARNINGS)
        self.assertIn(("dry-run-timeout", "not-checked"),
                      [(fact["code"], fact["result"]) for fact in json.loads(out)["facts"]])
        self.assert_nothing_left()

    def test_libvirt_that_stands_still_is_ended(self) -> None:
        self.assert_timeout(self.catch("--timeout", "2"))

    def test_qemu_that_stands_still_is_ended(self) -> None:
        run = self.catch("--timeout", "2")
        os.kill(run.qemu, signal.SIGSTOP)
        os.kill(run.libvirt, signal.SIGCONT)
        self.assert_timeout(run)

    def test_account_owns_nothing(self) -> None:
        with self.stopped() as run:
            seen = fields(run.qemu)
            account = int(seen["Uid"].split()[0])
            self.assertIn(account, ACCOUNTS)
            for name in ("Uid", "Gid"):
                self.assertEqual({str(account)}, set(seen[name].split()), name)
            self.assertLessEqual(set(seen["Groups"].split()), {str(account)})
            self.assertRaises(KeyError, pwd.getpwuid, account)

    def test_no_privileges(self) -> None:
        with self.stopped() as run:
            seen = fields(run.qemu)
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(0, int(seen[name], 16), name)
            self.assertEqual("1", seen["NoNewPrivs"])
            self.assertEqual("2", seen["Seccomp"])

    def test_libvirt_cannot_leave_its_world(self) -> None:
        lost = sum(1 << number for number in
                   (SYS_ADMIN, SYS_PTRACE, SYS_MODULE, MKNOD, DAC_READ_SEARCH, SYS_RAWIO))
        with self.stopped() as run:
            seen = fields(run.libvirt)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(0, int(seen[name], 16) & lost, name)
        self.assertEqual("1", seen["NoNewPrivs"])

    def test_no_descriptor_leads_out(self) -> None:
        """A directory that is open outside would be a way to all of the host's files."""
        with self.stopped() as run:
            for pid in (run.libvirt, run.qemu):
                inside = {line.split()[0] for line in
                          Path(f"/proc/{pid}/mountinfo").read_text().splitlines()}
                for number in Path(f"/proc/{pid}/fd").iterdir():
                    if number.is_dir():
                        where = re.search(r"^mnt_id:\s+(\d+)$", Path(
                            f"/proc/{pid}/fdinfo/{number.name}").read_text(), re.MULTILINE)
                        self.assertIn(where[1], inside, os.readlink(number))
            self.assertEqual("end\n", run.shell("ls /cache 2>/dev/null; echo end"))

    def test_dry_run_is_ended_before_any_guest_where_memory_is_short(self) -> None:
        with self.stopped() as run:
            for pid in (run.libvirt, run.qemu):
                self.assertEqual("1000", Path(f"/proc/{pid}/oom_score_adj").read_text().strip())

    def test_world_holds_programs_alone(self) -> None:
        with self.stopped() as run:
            self.assertLessEqual({path.name for path in run.root.iterdir()}, TOP)
            self.assertLessEqual({path.name for path in (run.root / "etc").iterdir()},
                                 {"alternatives", "group", "ld.so.cache", "nsswitch.conf",
                                  "passwd"})
            self.assertLessEqual({path.name for path in (run.root / "run").iterdir()},
                                 {"libvirt", "libvirt-hpt"})
            self.assertLessEqual({path.name for path in (run.root / "dev").iterdir()},
                                 {"full", "net", "null", "ptmx", "pts", "random", "urandom",
                                  "zero"})

    def test_every_mount_is_read_only_but_the_runs_own(self) -> None:
        with self.stopped() as run:
            mounts = {}
            for line in Path(f"/proc/{run.qemu}/mountinfo").read_text().splitlines():
                words = line.split()
                mounts[words[4]] = set(words[5].split(","))
        # The cache is libvirt's alone
        self.assertEqual({"/run", "/dev/pts", "/cache"},
                         {path for path, options in mounts.items() if "ro" not in options})
        for path, options in mounts.items():
            self.assertIn("nosuid", options, path)
            self.assertTrue("nodev" in options or path.startswith("/dev"), path)

    def test_disks_and_homes_cannot_be_reached(self) -> None:
        IMAGES.mkdir(parents=True, exist_ok=True)
        canaries = [IMAGES / "canary", self.work / "canary"]
        for directory in ("/home", "/root", "/srv", "/mnt", "/media", "/tmp", "/var/tmp", "/opt",
                          "/dev/shm", "/run"):
            if os.access(directory, os.W_OK):
                number, name = tempfile.mkstemp(prefix="canary-", dir=directory)
                os.close(number)
                self.addCleanup(os.unlink, name)
                canaries.append(Path(name))
        self.addCleanup(os.unlink, IMAGES / "canary")
        with self.stopped() as run:
            for path in canaries:
                path.write_text("canary")
                path.chmod(0o644)
                self.assertFalse(os.path.lexists(f"{run.root}{path}"), path)
            self.assertEqual("end\n", run.shell("find / -path /proc -prune -o -path /usr -prune -o "
                                                "-name 'canary*' -print 2>/dev/null; echo end"))

    def test_nothing_can_be_written_but_its_own(self) -> None:
        with self.stopped() as run:
            account = fields(run.qemu)["Uid"].split()[0]
            found = run.shell("find / -path /proc -prune -o ! -type l -writable -print 2>/dev/null")
            words = run.shell("for d in / /usr /etc /dev /run /run/libvirt-hpt /usr/share/qemu; do "
                              "touch $d/canary 2>/dev/null && echo $d; done; id -u")
        for path in found.split():
            self.assertTrue(path.startswith(("/run/libvirt-hpt/", "/dev/")), path)
        self.assertEqual([account], words.split())

    def test_no_network(self) -> None:
        with self.stopped() as run:
            self.assertNotEqual(os.readlink("/proc/self/ns/net"),
                                os.readlink(f"/proc/{run.qemu}/ns/net"))
            lines = Path(f"/proc/{run.qemu}/net/dev").read_text().splitlines()[2:]
            self.assertEqual({"lo"}, {line.split(":")[0].strip() for line in lines})
            routes = Path(f"/proc/{run.qemu}/net/route").read_text().splitlines()
            self.assertEqual([], routes[1:])
            sockets = Path(f"/proc/{run.qemu}/net/unix").read_text().splitlines()[1:]
        for line in sockets:
            words = line.split()
            self.assertTrue(len(words) < 8 or words[7].startswith("/run/libvirt-hpt/"), line)

    def test_no_process_but_its_own(self) -> None:
        with self.stopped() as run:
            inside = fields(run.qemu)["NSpid"].split()
            self.assertGreater(len(inside), len(fields(os.getpid())["NSpid"].split()))
            seen = run.shell("cat /proc/[0-9]*/comm").split()
        self.assertIn("qemu-system-ppc", seen)
        self.assertEqual(set(), set(seen) - {"virt-hpt-dryrun", "events", "qemu-system-ppc", "sh",
                                             "cat"})

    def test_no_program_reads_the_hosts_firmware(self) -> None:
        with self.stopped() as run:
            self.assertEqual("end\n", run.shell("test -x /usr/sbin/dmidecode && echo runs; echo end"))

    def test_two_runs_share_nothing(self) -> None:
        with ExitStack() as stack:
            one, other = (stack.enter_context(self.stopped()) for _ in range(2))
            self.assertNotEqual(fields(one.qemu)["Uid"], fields(other.qemu)["Uid"])
            for name in ("mnt", "pid", "net", "ipc"):
                self.assertNotEqual(os.readlink(f"/proc/{one.qemu}/ns/{name}"),
                                    os.readlink(f"/proc/{other.qemu}/ns/{name}"), name)

    def test_kvm_is_there_for_guests_of_kvm_alone(self) -> None:
        helper = CONTEXT.tool.parent.parent / "src/dryrun/virt-hpt-dryrun"
        # libvirt waits for the image, which does not come
        with subprocess.Popen([helper, "--kvm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            node = None
            while node is None and time.monotonic() < deadline:
                for pid in emulators():
                    try:
                        node = os.stat(f"/proc/{pid}/root/dev/kvm")
                        if os.stat(f"/proc/{pid}/root") == os.stat("/"):
                            node = None
                    except OSError:
                        pass
                time.sleep(0.01)
            process.kill()
        assert node is not None
        self.assertTrue(stat.S_ISCHR(node.st_mode))
        self.assertEqual((10, 232), (os.major(node.st_rdev), os.minor(node.st_rdev)))
        self.assertEqual(0o600, stat.S_IMODE(node.st_mode))
        self.assertIn(node.st_uid, ACCOUNTS)

    def test_works_wherever_the_caller_stands(self) -> None:
        gone = self.work / "gone"
        gone.mkdir(mode=0o700)
        script = 'umask 077; cd "$1"; rmdir "$1"; shift; exec "$@"'
        done = subprocess.run(
            ["sh", "-c", script, "sh", gone, CONTEXT.tool, "validate", "--level", "dry-run",
             self.record],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_RUNTIME_DIR": str(gone),
                 "XDG_CONFIG_HOME": str(gone), "LIBVIRT_DEFAULT_URI": "test:///default"})
        self.assertEqual(GOOD, done.returncode, done.stderr)

    def test_works_without_an_account_of_libvirt(self) -> None:
        for name in ("passwd", "group"):
            text = Path("/etc", name).read_text(encoding="utf-8")
            (self.work / name).write_text(re.sub(r"(?m)^(libvirt-qemu|qemu):.*\n", "", text))
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc",
             'mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/group" /etc/group\n'
             '! grep libvirt-qemu /etc/passwd; exec "$2" validate --level dry-run "$3"',
             "sh", self.work, CONTEXT.tool, self.record],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(GOOD, done.returncode, done.stdout + done.stderr)
