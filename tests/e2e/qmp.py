# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small QMP client over a connected socket."""

from __future__ import annotations

import array
import json
import socket
import time
from typing import Any


class QmpError(Exception):
    """QEMU refused a command, or its monitor is gone."""


class Qmp:
    """One monitor connection; commands are synchronous, events are kept in a list."""

    def __init__(self, sock: socket.socket, timeout: float = 30) -> None:
        self._sock = sock
        self._sock.settimeout(timeout)
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        greeting = self._receive()
        version = greeting["QMP"]["version"]["qemu"]
        self.version: tuple[int, int, int] = (version["major"], version["minor"], version["micro"])
        self.command("qmp_capabilities")

    def _receive(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                data = self._sock.recv(65536)
            except OSError as error:
                raise QmpError(f"no answer from QEMU's monitor: {error}") from error
            if not data:
                raise QmpError("QEMU closed its monitor")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name: str, /, fd: int | None = None, **arguments: Any) -> Any:
        """Run a command; '_' in argument names stands for '-'.  fd travels with it (getfd)."""
        message = {"execute": name,
                   "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        data = json.dumps(message).encode() + b"\n"
        control = []
        if fd is not None:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self._sock.sendmsg([data], control)
        except OSError as error:
            raise QmpError(f"{name}: {error}") from error
        while True:
            answer = self._receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def hmp(self, line: str) -> str:
        """Run a human monitor command."""
        return self.command("human-monitor-command", command_line=line)

    def wait_status(self, *wanted: str, timeout: float = 30) -> str:
        """Wait until the guest's run state is one of those."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.command("query-status")["status"]
            if status in wanted:
                return status
            if time.monotonic() > deadline:
                raise QmpError(f"the guest is '{status}', not {' or '.join(wanted)}")
            time.sleep(0.02)

    def close(self) -> None:
        """Close the connection; QEMU does not mind."""
        self._sock.close()
