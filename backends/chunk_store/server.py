"""A store of chunks behind a Unix socket: for a process that must not have the store's credentials.

A connection is one request: a line of JSON, and for ``create`` the file's bytes. The answer is a line of JSON, and for
``get`` the file's bytes. Names are checked, and sizes bounded, on both sides.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from backends.chunk_store import MAX_CHUNK_BYTES, ChunkStore
from backends.errors import OutputError, RendererError, TransientError
from backends.untrusted import check_relative_name, read_exactly

MAX_LINE = 2**26  # of a list of names
TIMEOUT_S = 600.0  # the store's own attempts take less
CONNECT_TIMEOUT_S = 60.0
CONNECT_INTERVAL_S = 0.1
_log = logging.getLogger(__name__)


class SocketChunks:
    """The store behind a socket. Raises TransientError if it does not answer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str, target: Path) -> bool:
        """Copy the whole file to ``target``; return False if the store does not have it."""
        partial = target.with_name(f".new-{target.name}")
        try:
            with self._request({"get": name}) as (stream, answer):
                size = answer.get("size")
                if not isinstance(size, int):
                    return False
                with partial.open("wb") as file:
                    _copy(stream, file, size)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return True

    def create(self, name: str, source: Path) -> bool:
        """Store the whole file unless there is one of this name; return whether this call stored it."""
        with source.open("rb") as file:
            size = source.stat().st_size
            with self._request({"create": name, "size": size}, file, size) as (_, answer):
                return answer.get("created") is True

    def list(self, folder: str) -> list[str]:
        """Return the names of all files below a folder."""
        with self._request({"list": folder}) as (_, answer):
            names = answer.get("names")
            return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    @contextmanager
    def _request(
        self, request: Mapping[str, object], file: IO[bytes] | None = None, size: int = 0
    ) -> Iterator[tuple[IO[bytes], Mapping[str, object]]]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_S)
                self._connect(connection)
                with connection.makefile("rwb") as buffered:
                    stream: Any = buffered
                    stream.write(json.dumps(request).encode() + b"\n")
                    if file:
                        _copy(file, stream, size)
                    stream.flush()
                    answer = json.loads(stream.readline(MAX_LINE))
                    if error := answer.get("error"):
                        raise TransientError(str(error))
                    yield stream, answer
        except (OSError, ValueError) as error:
            raise TransientError(f"the container of the store does not answer: {error}") from error

    def _connect(self, connection: socket.socket) -> None:
        """Connect; wait for a server that is about to start, or to start again."""
        until = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            try:
                return connection.connect(str(self.path))
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > until:
                    raise
                time.sleep(CONNECT_INTERVAL_S)


class ChunkServer:
    """Answers the requests of one job for ``store``, each in a thread. ``scratch`` is a folder for temporary files."""

    def __init__(self, path: Path, store: ChunkStore, scratch: Path) -> None:
        class Handler(socketserver.StreamRequestHandler):
            rfile: Any  # the types of both are wider than what they are
            wfile: Any

            def handle(self) -> None:
                answer_request(self.rfile, self.wfile, store, scratch)

        path.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True

    def serve(self) -> None:
        """Answer requests for ever."""
        self._server.serve_forever()


def answer_request(request: IO[bytes], answer: IO[bytes], store: ChunkStore, scratch: Path) -> None:
    """Read one request, and write its answer."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / "chunk"
        try:
            found, has_file = _perform(request, path, store)
        except (RendererError, OSError, ValueError, RecursionError) as error:
            _log.debug("a request for chunks failed: %s", error)
            found, has_file = {"error": str(error)}, False
        answer.write(json.dumps(found).encode() + b"\n")
        if has_file:
            with path.open("rb") as file:
                _copy(file, answer, path.stat().st_size)


def _perform(stream: IO[bytes], path: Path, store: ChunkStore) -> tuple[Mapping[str, object], bool]:
    """Return the answer, and whether the file ``path`` follows it."""
    content = json.loads(stream.readline(2**16))
    verb, name = next(iter(content.items())) if isinstance(content, dict) and content else ("", None)
    if not isinstance(name, str):
        raise ValueError("a request has another form")  # noqa: TRY004  # one kind of error for all that is wrong
    name, size = str(check_relative_name(name)), content.get("size")
    if verb == "list":
        return {"names": store.list(name)}, False
    if verb == "get":
        has_file = store.get(name, path)
        return {"size": path.stat().st_size if has_file else None}, has_file
    if verb == "create" and isinstance(size, int):
        with path.open("wb") as file:
            _copy(stream, file, size)
        return {"created": store.create(name, path)}, False
    raise ValueError("a request has another form")


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    if not 0 <= size <= MAX_CHUNK_BYTES:
        raise OutputError("a chunk is too large")
    target.writelines(read_exactly(source, size))
