# SPDX-License-Identifier: GPL-2.0-or-later
"""What the snapshot commands print of a snapshot and its record.

The domain is one of libvirt's test driver: that the commands do what they say, real guests show.
"""

import os
import pty
import xml.etree.ElementTree

import streams
import virthpt
from virthpt import GOOD

UUID = "2f9a7b1e-51f5-4a5e-9c0c-6f3a2b8f3f10"
EVIL = "a\x7f\u009b2J\u202e\ue000\U000e0041"

DOMAIN = f"<name>guest</name><uuid>{UUID}</uuid><memory>65536</memory><os><type>hvm</type></os>"
NODE = f"""
<node>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    {DOMAIN}
    <test:domainsnapshot>
      <name>%s</name>
      <state>running</state>
      <active>1</active>
      <creationTime>1795328444</creationTime>
      <memory snapshot='external' file='%s'/>
      <domain type='test'>{DOMAIN}</domain>
    </test:domainsnapshot>
  </domain>
</node>
"""


class Snapshot(virthpt.Case):
    """virt-hpt snapshot-*, where nothing but their output matters"""

    def setUp(self):
        super().setUp()
        self.forget_state(UUID)
        domain = f"<domain type='kvm'><name>guest</name><title>{EVIL}</title></domain>"
        image = self.write("guest.save", streams.save_image(streams.stream(streams.good_table()),
                                                            xml=domain.encode()))
        self.run_ok("record", image)
        self.connect = self.serve("snap")

    def serve(self, name):
        """Options that connect to a libvirt whose domain has a snapshot of that name."""
        self.write("node.xml", (NODE % (name, self.dir / "guest.save")).encode())
        return ["-c", f"test://{self.dir / 'node.xml'}"]

    def test_list_and_info(self):
        snapshot, = self.run_json(*self.connect, "snapshot-list", "guest")["snapshots"]
        info = self.run_json(*self.connect, "snapshot-info", "guest", "--current")
        for found in snapshot, info:
            self.assertEqual((found["name"], found["state"], found["kind"], found["creation_time"],
                              found["memory"]),
                             ("snap", "running", "external", 1795328444,
                              str(self.dir / "guest.save")))
        self.assertEqual((info["record"], info["mmu"], info["order"], info["valid"], info["bolted"]),
                         (str(self.dir / "guest.save.hpt"), "hash", 18, 16, 8))
        self.assertRegex(self.run_ok(*self.connect, "snapshot-list", "guest"),
                         r"\nsnap +2026-11-22 06:20:44 UTC +running +external +present\n$")

    def test_columns_stay_apart(self):
        for length in 18, 19, 20, 21, 60:
            with self.subTest(length):
                output = self.run_ok(*self.serve("n" * length), "snapshot-list", "guest")
                self.assertEqual(output.splitlines()[1].split()[:2], ["n" * length, "2026-11-22"])

    def test_names_do_not_steer_the_terminal(self):
        connect = self.serve(EVIL)
        for words in (["snapshot-list", "guest"], ["snapshot-info", "guest", EVIL],
                      ["snapshot-info", "guest", EVIL, "--json"],
                      ["snapshot-info", "guest", EVIL + "x"]):
            with self.subTest(words):
                done = self.run_program(*connect, *words)
                for line in (done.stdout + done.stderr).decode().splitlines():
                    self.assertTrue(line.isprintable(), line)

    def test_descriptor_is_printed_as_it_is(self):
        output = self.run_ok(*self.connect, "snapshot-dumpxml", "guest", "snap")
        self.assertEqual(output, (self.dir / "guest.save.hpt" / "snapshot.xml").read_text())
        self.assertIn(EVIL, output)
        self.assertEqual(self.run_json(*self.connect, "snapshot-dumpxml", "guest", "snap")["xml"],
                         output)

    def test_descriptor_does_not_steer_the_terminal(self):
        main, side = pty.openpty()
        done = self.run_program(*self.connect, "snapshot-dumpxml", "guest", "snap", stdout=side)
        os.write(side, b"end")
        shown = b""
        while not shown.endswith(b"end"):
            shown += os.read(main, 4096)
        os.close(side)
        os.close(main)
        self.assertEqual((done.returncode, done.stderr), (GOOD, b""))
        shown = shown.removesuffix(b"end").decode().replace("\r\n", "\n")
        for line in shown.split("\n"):
            self.assertTrue(line.isprintable(), line)
        self.assertEqual(xml.etree.ElementTree.fromstring(shown).find("domain/title").text, EVIL)


if __name__ == "__main__":
    virthpt.main()
