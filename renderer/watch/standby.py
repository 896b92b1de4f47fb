"""The process that has Manim imported, as the command sees it: takes one order at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from backends.errors import BackendError
from backends.processes import end_trees, reproducible_start

MODULE = "renderer.worker.warm.standby"
END_TIMEOUT_S = 10.0
LAST_LINES = 5


class Standby:
    """Starts the process, which ends with this one. ``scratch`` is a folder for its files, ``environment`` for jobs."""

    def __init__(self, scratch: Path, environment: Mapping[str, str]) -> None:
        self._log = scratch / "standby.log"
        command, variables = reproducible_start(MODULE, [], {**os.environ, **environment, "TMPDIR": str(scratch)})
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=scratch,
                env=variables,
                start_new_session=True,  # Ctrl-C is for this process
            )
        assert self._process.stdin and self._process.stdout  # noqa: PT018, S101  # for the type checker
        self._orders, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        self._text = b""

    def start(self, arguments: Sequence[str], log: Path) -> None:
        """Run the worker's command line; what runs is ended before. Raises BackendError if the process has ended."""
        self._text = b""
        self._send(json.dumps({"arguments": list(arguments), "log": str(log)}))

    def stop(self) -> None:
        """End what runs. Raises BackendError as ``start``."""
        self._send("")

    def _send(self, line: str) -> None:
        try:
            os.write(self._orders.fileno(), f"{line}\n".encode())
        except BrokenPipeError as error:
            raise self._describe_end() from error

    def has_ended(self) -> bool:
        """Return whether the last order has ended by itself. Raises BackendError if the process itself has."""
        with suppress(BlockingIOError):
            data = os.read(self._answers.fileno(), 65536)
            if not data:
                raise self._describe_end()
            self._text += data
        return b"ended " in self._text

    def _describe_end(self) -> BackendError:
        lines = self._log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        last = f": {lines[-1]}" if lines else ""
        return BackendError(f"the process that renders has ended{last}", hint="start `renderer watch` again")

    def close(self) -> None:
        """End the process and all that it has started."""
        with suppress(OSError):
            self._orders.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            end_trees([self._process.pid])
            self._process.wait()
        self._answers.close()
