"""What the worker prints: the units' lines on stdout, and for a supervisor lines on stderr, where no unit can write.

See backends.worker_protocol.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from backends.output_stream import format_header, send
from backends.untrusted.unit_states import UnitReported, dump_units
from backends.worker_protocol import ENDED, PRINTED, STARTED, STORED, UNITS, UnitResult, last_progress

PROGRESS_INTERVAL_S = 5.0  # between two lines on the progress of all units


class Reports:
    """Reports when units start and how they ended, and with ``sending`` all that they print and store.

    With ``labelling`` it is in the lines on stdout which unit printed them, and how far all units are,
    also those that ``earlier`` workers have finished.
    """

    def __init__(
        self,
        *,
        enabled: bool = False,
        sending: bool = False,
        labelling: bool = False,
        earlier: Mapping[int, UnitReported] | None = None,
    ) -> None:
        self._enabled = enabled or sending
        self._sending = sending
        self._labelling = labelling
        self._units: dict[int, UnitReported] = dict(earlier or {})
        self._started: dict[int, float] = {}  # times of time.monotonic()
        self._shown = 0.0  # when the states of all units were shown, of time.monotonic()

    def start(self, unit: int) -> None:
        """Report that a unit has started."""
        self._write(STARTED, unit)
        self._started[unit] = time.monotonic()
        self._update(unit, UnitReported())

    def show(self, unit: int, lines: bytes) -> None:
        """Print lines of a unit on stdout."""
        if self._labelling and lines:
            label = b"%d: " % unit
            text = lines[:-1] if lines.endswith(b"\n") else lines
            lines = label + text.replace(b"\n", b"\n" + label) + b"\n"
            progress = (
                last_progress(text.decode("utf-8", "replace").split("\n")) if b"openjd_progress" in text else None
            )
            known = self._units.get(unit)
            if progress is not None and known and known.exit_code is None:
                self._units[unit] = UnitReported(progress=progress)
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
        if self._labelling and time.monotonic() - self._shown > PROGRESS_INTERVAL_S:
            self._show_units()

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
        self._update(unit, UnitReported(result.exit_code, message=result.error.message if result.error else None))

    def _update(self, unit: int, state: UnitReported) -> None:
        if self._labelling:
            self._units[unit] = state
            self._show_units()

    def _show_units(self) -> None:
        self._shown = time.monotonic()
        for unit, state in self._units.items():
            if state.exit_code is None:
                self._units[unit] = replace(state, seconds=round(self._shown - self._started[unit], 1))
        sys.stdout.buffer.write(f"{UNITS}{dump_units(self._units)}\n".encode("utf-8", "replace"))
        sys.stdout.buffer.flush()

    def _write(self, event: bytes, unit: int, content: bytes = b"") -> None:
        if self._enabled:
            sys.stderr.flush()
            data = memoryview(event + b"%d" % unit + (b" " + content if content else b"") + b"\n")
            while data:  # with PYTHONUNBUFFERED and on gVisor, one call may write only a part
                data = data[os.write(sys.stderr.fileno(), data) :]
