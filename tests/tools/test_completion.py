# SPDX-License-Identifier: GPL-2.0-or-later
"""Bash completes commands, options, values and files, wherever they stand."""

import os
import pty
import re
import shlex
import subprocess

import virthpt

# What is typed before a tab -> what then stands there
TYPED = {
    "virt-hpt insp": "virt-hpt inspect",
    "/usr/bin/virt-hpt insp": "/usr/bin/virt-hpt inspect",
    "HOME=/ virt-hpt insp": "HOME=/ virt-hpt inspect",
    "true; virt-hpt insp": "true; virt-hpt inspect",
    "virt-hpt -q help snapshot-cr": "virt-hpt -q help snapshot-create-as",
    "virt-hpt -c qemu:///system insp": "virt-hpt -c qemu:///system inspect",
    "virt-hpt --connect=qemu:///system insp": "virt-hpt --connect=qemu:///system inspect",
    "virt-hpt --connect qemu+ssh://root@host/system snapshot-revert --disc":
        "virt-hpt --connect qemu+ssh://root@host/system snapshot-revert --discard-current",
    "virt-hpt --js": "virt-hpt --json",
    "virt-hpt check --ma": "virt-hpt check --max",
    "virt-hpt extract --format kvm-l": "virt-hpt extract --format kvm-le",
    "virt-hpt extract --format=q": "virt-hpt extract --format=qemu",
    "virt-hpt entry-list --size=64": "virt-hpt entry-list --size=64K",
    "virt-hpt validate --level rec": "virt-hpt validate --level record",
    "virt-hpt validate --level=record,ta": "virt-hpt validate --level=record,table",
    "virt-hpt validate fi": "virt-hpt validate file.save",
    "virt-hpt -c test:///default validate fi": "virt-hpt -c test:///default validate file.save",
    "virt-hpt inspect wi": "virt-hpt inspect with\\ a\\ blank.save",
    "virt-hpt inspect 'with a": "virt-hpt inspect 'with a blank.save'",
    "virt-hpt extract -o fi": "virt-hpt extract -o file.save",
    "virt-hpt diff fi": "virt-hpt diff file.save",
    "virt-hpt diff --delta fi": "virt-hpt diff --delta file.save",
    "virt-hpt apply --output=fi": "virt-hpt apply --output=file.save",
    "virt-hpt extract --output=fi": "virt-hpt extract --output=file.save",
    "virt-hpt snapshot-create-as d n --memspec fi":
        "virt-hpt snapshot-create-as d n --memspec file.save",
    "virt-hpt snapshot-create-as d n --memspec=file=fi":
        "virt-hpt snapshot-create-as d n --memspec=file=file.save",
    "virt-hpt decode fi": "virt-hpt decode fi",
    "virt-hpt snapshot-list fi": "virt-hpt snapshot-list fi",
    "virt-hpt check --max fi": "virt-hpt check --max fi",
}


class Completion(virthpt.Case):
    """tools/virt-hpt.bash"""

    def typed(self, lines):
        """What stands on the command line of a shell once a tab was typed behind each of the lines."""
        (self.dir / "rc").write_text(f". {shlex.quote(virthpt.COMPLETION)}\n"
                                     "PS1='ready>' HISTFILE=\n"
                                     "bind -x '\"\\C-o\": echo \"$READLINE_LINE\" >>out'\n")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execvpe("bash", ["bash", "--rcfile", "rc", "-i"],
                       dict(os.environ, TERM="dumb", INPUTRC="/dev/null"))
        shown = b""
        while b"ready>" not in shown:
            shown += os.read(terminal, 4096)
        os.write(terminal, "".join(f"{line}\t\x0f\x15" for line in lines).encode() + b"exit\r")
        try:
            while os.read(terminal, 4096):
                pass
        except OSError:
            pass
        os.close(terminal)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        return [line.rstrip() for line in (self.dir / "out").read_text().splitlines()]

    def test_lines_at_a_terminal(self):
        self.write("file.save", b"")
        self.write("with a blank.save", b"")
        self.assertEqual(self.typed(TYPED), list(TYPED.values()))

    def completed(self, line):
        """All that is offered at the end of a line."""
        script = ('. "$0"; COMP_LINE=$1 COMP_POINT=${#1}; _virt_hpt virt-hpt; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, virthpt.COMPLETION, line], check=True,
                              capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_every_command_and_option_is_offered(self):
        commands = set(re.findall(r"^  ([a-z][a-z-]+) +[A-Z]", self.run_ok("--help"), re.MULTILINE))
        self.assertEqual(self.completed("virt-hpt "), commands)
        for command in commands - {"help"}:
            with self.subTest(command):
                options = set(re.findall(r"--[a-z][a-z-]*",
                                         self.run_ok(command, "--help").split("\n\n", 2)[2]))
                self.assertEqual(self.completed(f"virt-hpt {command} --"), options)


if __name__ == "__main__":
    virthpt.main()
