"""What the worker tells a supervisor, in lines on stderr, where no unit can write (see backends.worker_protocol)."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from backends.output_stream import format_header, send
from backends.worker_protocol import ENDED, PRINTED, STARTED, STORED, UnitResult


class Reports:
    """Reports when units start and how they ended, and with ``sending`` all that they print and store."""

    def __init__(self, *, enabled: bool = False, sending: bool = False) -> None:
        self._enabled = enabled or sending
        self._sending = sending

    def start(self, unit: int) -> None:
        """Report that a unit has started."""
        self._write(STARTED, unit)

    def print(self, unit: int, data: bytes) -> None:
        """Send a piece of a unit's log."""
        if self._sending and data:
            self._write(PRINTED, unit, base64.b64encode(data))

    def end(self, unit: int, result: UnitResult, files: Path) -> None:
        """Send the outputs in the folder ``files``, then report how the unit ended."""
        if self._sending and result.outputs:
            for data in send(files, format_header(result.outputs), 0):
                self._write(STORED, unit, base64.b64encode(data))
        self._write(ENDED, unit, result.to_line())

    def _write(self, event: bytes, unit: int, content: bytes = b"") -> None:
        if self._enabled:
            sys.stderr.flush()
            data = memoryview(event + b"%d" % unit + (b" " + content if content else b"") + b"\n")
            while data:  # with PYTHONUNBUFFERED and on gVisor, one call may write only a part
                data = data[os.write(sys.stderr.fileno(), data) :]
