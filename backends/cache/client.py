"""The render's side of the shared cache's socket. Whatever fails counts as an entry that is not there."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from backends.cache.entries import MAX_ENTRY_BYTES
from backends.untrusted import Readable, read_exactly

ANSWER_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 70.0  # longer than the server waits for its uploads
START_TIMEOUT_S = 10.0
START_INTERVAL_S = 0.02
HEADER_BYTES = 8192
VARIABLE = "RENDERER_CACHE_SOCKET"  # names the socket to the worker


class CacheClient:
    """Asks the server at a socket. Each call is a connection of its own, so forked processes can share the object."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wait(self) -> None:
        """Wait until the server has started, for a limited time."""
        end = time.monotonic() + START_TIMEOUT_S
        while not self.path.exists() and time.monotonic() < end:
            time.sleep(START_INTERVAL_S)

    def has(self, name: str) -> bool:
        """Return whether the store has an entry GROUP/FIRST/ALL, or any of GROUP/FIRST."""
        try:
            with self._ask({"do": "has", "name": name}) as (answer, _):
                return bool(answer.get("ok"))
        except (OSError, ValueError):
            return False

    def get(self, name: str, target: Path) -> bool:
        """Write the entry's content to ``target``; return False, and leave nothing there, if it cannot be had."""
        partial = target.with_name(f"{target.name}.shared")
        try:
            with self._ask({"do": "get", "name": name}) as (answer, content):
                if not answer.get("ok"):
                    return False
                with partial.open("wb") as file:
                    file.writelines(read_exactly(content, int(answer["size"])))
            partial.replace(target)
        except (OSError, ValueError):
            partial.unlink(missing_ok=True)
            return False
        return True

    def put(self, name: str, source: Path) -> None:
        """Hand an entry's content over, to be uploaded soon."""
        try:
            with source.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size <= MAX_ENTRY_BYTES:
                    with self._ask({"do": "put", "name": name, "size": size}, file, size):
                        pass
        except (OSError, ValueError):
            pass  # another render draws it again

    def find_problem(self) -> str | None:
        """Return why the store is not used; None while it is."""
        return self._find_problem({"do": "problem"}, ANSWER_TIMEOUT_S)

    def finish(self) -> str | None:
        """Wait until everything is uploaded, for a limited time. Return what went wrong."""
        return self._find_problem({"do": "finish"}, FINISH_TIMEOUT_S)

    def _find_problem(self, question: dict[str, object], timeout_s: float) -> str | None:
        try:
            with self._ask(question, timeout_s=timeout_s) as (answer, _):
                problem = answer.get("problem")
                return None if problem is None else str(problem)
        except (OSError, ValueError):
            return "the process that reads and writes it has ended"

    @contextmanager
    def _ask(
        self,
        question: dict[str, object],
        content: BinaryIO | None = None,
        size: int = 0,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Iterator[tuple[dict[str, Any], Readable]]:
        """Yield the answer, and the stream with what follows it. Raises OSError and ValueError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(self.path))
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps(question).encode() + b"\n")
                if content:
                    stream.writelines(read_exactly(content, size))
                stream.flush()
                yield dict(json.loads(stream.readline(HEADER_BYTES))), stream
