"""Serves the shared cache to one job of this machine: ``python -I -m backends.cache URI KEY_FILE SOCKET FOLDER``."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from backends import debug_log
from backends.cache.key_file import read_or_create_key
from backends.cache.server import CacheServer
from backends.cache.shared_store import open_shared_store
from backends.errors import SpecError


def main(uri: str, key_file: str, socket: str, folder: str) -> None:
    """Answer requests until this process is ended."""
    with suppress(SpecError):  # a wrong RENDERER_LOG must not end the job
        debug_log.configure(debug_log.level_from_environment())
    spool = Path(folder)
    store = open_shared_store(uri, lambda: read_or_create_key(Path(key_file)), spool)
    CacheServer(Path(socket), store, spool).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
