"""Reads, verifies and writes entries of the shared cache. Runs where the store's credentials and the secret key are.

A store that does not answer never delays a job for long: what it has is listed once for each group, beside the job;
after the first error nothing more is read, or written. Uploads run in threads of their own.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backends.cache.entries import KEY_BYTES, MAC_BYTES, MAX_ENTRY_BYTES, identify_secret, seal, unseal
from backends.chunk_store import ChunkStore, FolderChunks, StoredChunks
from backends.errors import OutputError, RendererError
from backends.storage import Storage
from backends.untrusted import Readable

LIST_TIMEOUT_S = 5.0  # a render that has waited so long for the names goes on without
SPOOL_BYTES = 512 * 2**20  # of entries that are not uploaded yet
UPLOADS = 4  # at the same time
ATTEMPTS = 3
_log = logging.getLogger(__name__)


class _Group:
    """The names of one group's entries in the store, once they are listed: FIRST and, for each, ALL."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.is_listed = threading.Event()
        self.wait_until = time.monotonic() + LIST_TIMEOUT_S


class SharedStore:
    """The entries of one secret key. ``spool`` is a folder for entries that are being read or written.

    ``problem`` is why the store is not used any more; None while it works.
    """

    def __init__(self, uri: str, secret: bytes, spool: Path) -> None:
        self._chunks, self._replace = _open_store(uri)
        self._uri, self._secret, self._spool = uri, secret, spool
        self._root = identify_secret(secret)
        self._groups: dict[str, _Group] = {}
        self._damaged: set[str] = set()
        self._changed = threading.Condition()
        self._uploads: queue.Queue[tuple[str, Path, int]] = queue.Queue()
        self._waiting, self._spooled = 0, 0
        self.problem: str | None = None
        for _ in range(UPLOADS):
            threading.Thread(target=self._upload_all, daemon=True).start()

    def has(self, group: str, first: str, name: str | None = None) -> bool:
        """Return whether the store has a chunk with this first frame or, with ``name``, this very chunk."""
        names = self._find_names(group).get(first)
        return names is not None and (name is None or name in names)

    def get(self, entry: str, target: Path) -> bool:
        """Write an entry's content to ``target``; return False if it is missing, damaged or written by others."""
        if self.problem or not self.has(*entry.split("/")):
            return False
        sealed = self._spool / f"read-{secrets.token_hex(8)}"
        try:
            if not self._chunks.get(f"{self._root}/{entry}", sealed):
                return False
            with sealed.open("rb") as file:
                found = unseal(file, target, entry, self._secret)
        except RendererError as error:
            self._give_up(error)
            return False
        finally:
            with suppress(FileNotFoundError):
                sealed.unlink()
        if not found:
            _log.debug("the entry %s is damaged, or was written with another key", entry)
            group, first, name = entry.split("/")
            with self._changed:
                self._damaged.add(entry)
                self._groups[group].names[first].discard(name)
        return found

    def put(self, entry: str, content: Readable, size: int) -> bool:
        """Take an entry's content, to be uploaded soon. Return whether it is, or has been, uploaded."""
        group, first, name = entry.split("/")
        if self.problem or not 0 <= size <= MAX_ENTRY_BYTES:
            return False
        if self.has(group, first, name):
            return True
        with self._changed:
            if self._spooled + size > SPOOL_BYTES:
                _log.debug("too much waits for its upload: %s is not kept", entry)
                return False
            self._spooled += size
            self._waiting += 1
        sealed = self._spool / f"write-{secrets.token_hex(8)}"
        try:
            with sealed.open("wb") as file:
                seal(content, size, file, entry, self._secret)
        except BaseException:
            self._end_upload(sealed, size)
            raise
        self._uploads.put((entry, sealed, size))
        return True

    def finish(self, timeout_s: float) -> str | None:
        """Wait until everything is uploaded, at most ``timeout_s``. Return what went wrong."""
        with self._changed:
            done = self._changed.wait_for(lambda: not self._waiting, timeout_s)
        if not done and not self.problem:
            self.problem = f"{self._uri} did not take all chunks within {timeout_s:g} s"
        return self.problem

    def _find_names(self, group: str) -> dict[str, set[str]]:
        with self._changed:
            known = group in self._groups
            found = self._groups.setdefault(group, _Group())
        if not known:
            threading.Thread(target=self._list_names, args=(group, found), daemon=True).start()
        found.is_listed.wait(max(0.0, found.wait_until - time.monotonic()))
        return found.names

    def _list_names(self, group: str, found: _Group) -> None:
        try:
            listed = [] if self.problem else self._chunks.list(f"{self._root}/{group}")
        except RendererError as error:
            self._give_up(error)
            listed = []
        _log.debug("the shared cache has %d entries in %s", len(listed), group)
        with self._changed:
            for path in listed:
                first, name = path.split("/")[-2:]
                found.names.setdefault(first, set()).add(name)
        found.is_listed.set()

    def _upload_all(self) -> None:
        while True:
            entry, sealed, size = self._uploads.get()
            try:
                if not self.problem:
                    self._upload(entry, sealed)
            except RendererError as error:
                self._give_up(error)
            except OSError as error:
                self._give_up(OutputError(f"an entry cannot be read: {error.strerror}"))
            finally:
                self._end_upload(sealed, size)

    def _upload(self, entry: str, sealed: Path) -> None:
        group, first, name = entry.split("/")
        path = f"{self._root}/{entry}"
        if entry in self._damaged:
            self._replace(path, sealed)
        else:
            self._chunks.create(path, sealed)
        with self._changed:
            self._groups[group].names.setdefault(first, set()).add(name)
        _log.debug("uploaded %s, %d bytes", entry, sealed.stat().st_size - MAC_BYTES)

    def _end_upload(self, sealed: Path, size: int) -> None:
        with suppress(FileNotFoundError):
            sealed.unlink()
        with self._changed:
            self._spooled -= size
            self._waiting -= 1
            self._changed.notify_all()

    def _give_up(self, error: RendererError) -> None:
        self.problem = self.problem or str(error)
        _log.debug("the shared cache is not used any more: %s", error)


class UnusableStore:
    """A shared cache that cannot be opened: it has nothing, keeps nothing, and says why."""

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def has(self, group: str, first: str, name: str | None = None) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def get(self, entry: str, target: Path) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def put(self, entry: str, content: Readable, size: int) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def finish(self, timeout_s: float) -> str | None:  # noqa: ARG002
        """Return why it is not used."""
        return self.problem


def open_shared_store(uri: str, read_secret: Callable[[], bytes], spool: Path) -> SharedStore | UnusableStore:
    """Return the cache, or one that says why it cannot be used."""
    try:
        return SharedStore(uri, read_secret(), spool)
    except (RendererError, OSError, ValueError) as error:
        return UnusableStore(str(error))
    except ImportError:
        return UnusableStore("this image cannot use a bucket: the Python package obstore is missing")


def read_mounted_key(path: Path) -> bytes:
    """Return the key of a Secret that is mounted. Raises ValueError for a file that holds no key, and OSError."""
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"the Secret's file `{path.name}` does not hold a key of {KEY_BYTES} bytes")
    return key


def _open_store(uri: str) -> tuple[ChunkStore, Callable[[str, Path], None]]:
    if uri.startswith("file://"):
        folder = Path(uri[len("file://") :])
        if not folder.parent.is_dir():
            raise OutputError(f"there is no folder {folder.parent}")
        return FolderChunks(folder), lambda name, source: _replace_file(folder / name, source)
    storage = Storage(uri, attempts=ATTEMPTS)
    return StoredChunks(storage), storage.put


def _replace_file(target: Path, source: Path) -> None:
    partial = target.with_name(f".new-{secrets.token_hex(8)}")
    try:
        partial.write_bytes(source.read_bytes())
        partial.replace(target)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
