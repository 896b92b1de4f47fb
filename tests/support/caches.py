"""A machine with a shared cache, as a render has it. Imports little: tests start many processes with it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.cache.client import CacheClient
from backends.cache.server import CacheServer
from backends.cache.shared_store import open_shared_store

GROUP, FIRST = "0123456789abcdef", "1" * 40
SECRET = bytes(range(32))
CONTENT = b"the frames of one chunk" * 1000


def name(number: int) -> str:
    return f"{GROUP}/{FIRST}/{number:040x}"


NAME = name(1)


@contextmanager
def machine(uri: str, secret: bytes = SECRET) -> Iterator[CacheClient]:
    """Serve the cache as beside a job, and yield the client that the render has."""
    with tempfile.TemporaryDirectory(prefix="r-") as folder:
        store = open_shared_store(uri, lambda: secret, Path(folder))
        with CacheServer(Path(folder) / "cache", store, Path(folder)) as server:
            threading.Thread(target=server.serve_forever).start()
            try:
                yield CacheClient(Path(folder) / "cache")
            finally:
                server.shutdown()
