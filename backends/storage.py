"""Reads and writes files of a store: a folder of an object store (s3://, gs://) or of a mounted disk (file://)."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from backends.errors import BackendError, OutputError, RendererError, StoreMissingError, TransientError
from backends.untrusted import show_line

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)

TRANSFER_BYTES = 8 * 2**20  # how much of a file is in memory at a time
DEFAULT_ATTEMPTS = 5
FIRST_RETRY_INTERVAL_S = 0.25  # doubled with each attempt
REASON_CHARACTERS = 200  # of what an error says
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class StoredFile:
    """A file in a store; ``path`` is relative to the store's folder, ``modified`` is in seconds since 1970."""

    path: str
    size: int
    modified: float


class Removable(Protocol):
    """A folder of a store that old files can be removed from."""

    def list_files(self) -> Iterator[StoredFile]:
        """Yield all files, with size and time."""

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files."""


def remove_old(store: Removable, age_s: float, *, dry_run: bool = False) -> list[StoredFile]:
    """Remove the files that were stored longer ago than ``age_s`` seconds, and return them. Raises RendererError."""
    oldest = time.time() - age_s
    old = [file for file in store.list_files() if file.modified < oldest]
    if not dry_run:
        store.remove([file.path for file in old])
    return old


class Storage:
    """The folder that a URI names. Paths are relative to it, with slashes.

    Methods raise BackendError if the store refuses, and TransientError if it does not answer.
    """

    def __init__(
        self, uri: str, environment: Mapping[str, str] | None = None, *, attempts: int = DEFAULT_ATTEMPTS
    ) -> None:
        """Use the credentials in ``environment`` (AWS_*, GOOGLE_*), by default the process's own. Does not connect.

        ``attempts`` is how often a request is sent that gets no answer, with longer and longer pauses.
        """
        self.uri = uri
        self._attempts = attempts
        self._store = _open(uri, os.environ if environment is None else environment)

    def put(self, path: str, source: Path) -> None:
        """Store a file. Readers see the whole file or none."""
        import obstore

        def upload() -> None:
            with source.open("rb") as file:
                obstore.put(self._store, path, file, chunk_size=TRANSFER_BYTES)

        self._retry(upload)

    def put_bytes(self, path: str, data: bytes) -> None:
        """Store a small file."""
        import obstore

        self._retry(lambda: obstore.put(self._store, path, data))

    def create(self, path: str, source: Path) -> bool:
        """Store a file unless there is one of this name; return whether this call stored it. It is whole or not there.

        Of several that try at once, one succeeds: this is a conditional put (S3's If-None-Match, GCS's generation 0, a
        link in a folder). After an answer that was lost, the repeated request may return False although it was ours.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def upload() -> bool:
            try:
                with source.open("rb") as file:
                    obstore.put(self._store, path, file, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

        return self._retry(upload)

    def get(self, path: str, target: Path, *, most: int | None = None) -> None:
        """Download a file, or its first ``most`` bytes; continue if the connection breaks.

        Raises OutputError if the file does not exist.
        """
        size = self.size(path)
        if size is None:
            raise OutputError(f"{self.uri}/{path} does not exist")
        size = size if most is None else min(size, most)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while (have := file.tell()) < size:
                part = self.read(path, have, min(TRANSFER_BYTES, size - have))
                file.write(part)

    def get_bytes(self, path: str, *, most: int) -> bytes:
        """Return the first ``most`` bytes of a file. Raises OutputError if the file does not exist."""
        size = self.size(path)
        if size is None:
            raise OutputError(f"{self.uri}/{path} does not exist")
        return self.read(path, 0, min(size, most)) if size else b""

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes; None if the file does not exist."""
        import obstore

        try:
            return int(self._retry(lambda: obstore.head(self._store, path))["size"])
        except FileNotFoundError:
            return None

    def list(self, folder: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder."""
        import obstore

        prefix = f"{folder.rstrip('/')}/" if folder else None
        found = self._retry(lambda: obstore.list(self._store, prefix=prefix).collect())
        yield from (str(item["path"]) for item in found)

    def list_files(self) -> Iterator[StoredFile]:
        """Yield all files, with size and time."""
        import obstore

        found = self._retry(lambda: obstore.list(self._store).collect())
        yield from (StoredFile(str(item["path"]), item["size"], item["last_modified"].timestamp()) for item in found)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files."""
        import obstore

        if paths:
            self._retry(lambda: obstore.delete(self._store, paths))

    def delete(self, folder: str = "") -> None:
        """Remove every file below a folder."""
        self.remove(list(self.list(folder)))

    def read(self, path: str, start: int, length: int) -> bytes:
        """Return a part of a file that exists, which is not empty. Raises OutputError if the file was removed."""
        import obstore

        try:
            return bytes(self._retry(lambda: obstore.get_range(self._store, path, start=start, length=length)))
        except FileNotFoundError as error:
            raise OutputError(f"{self.uri}/{path} was removed during the download") from error

    def _retry(self, action: Callable[[], ResultT]) -> ResultT:
        """Call ``action`` and return its result; repeat it after temporary errors (HTTP 500, broken connections)."""
        for attempt in range(self._attempts):
            try:
                return action()
            except RendererError:
                raise
            except Exception as error:
                if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                    raise
                known = translate_error(error, self.uri)
                _log.debug("attempt %d of %d: %s", attempt + 1, self._attempts, known)
                if not isinstance(known, TransientError) or attempt == self._attempts - 1:
                    raise known from error
            time.sleep(FIRST_RETRY_INTERVAL_S * 2**attempt)
        raise AssertionError


def _open(uri: str, environment: Mapping[str, str]) -> ObjectStore:
    """Return the store, without a request to it.

    Pass all settings to obstore, which would otherwise read them from the process's environment.
    """
    from obstore.store import LocalStore, from_url

    if uri.startswith("file://"):
        return LocalStore(uri.removeprefix("file://"), mkdir=True, automatic_cleanup=True)
    prefix = {"s3": "aws_", "gs": "google_"}[uri.partition("://")[0]]
    config: Any = {key.lower(): value for key, value in environment.items() if key.lower().startswith(prefix) and value}
    config = {key: value for key, value in config.items() if key in _KEYS}
    endpoint = config.get("aws_endpoint_url") or config.get("aws_endpoint") or ""
    options: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
    retry: Any = {"max_retries": 0}  # Storage itself retries, and decides which errors are worth it
    open_url: Any = from_url  # its overloads want literal settings
    store: ObjectStore = open_url(uri, config=config, client_options={"timeout": "120s", **options}, retry_config=retry)
    return store


_KEYS = frozenset({
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region", "aws_default_region"),
    *("aws_endpoint_url", "aws_endpoint", "aws_virtual_hosted_style_request"),
    *("aws_web_identity_token_file", "aws_role_arn", "aws_role_session_name", "aws_container_credentials_relative_uri"),
    *("google_service_account", "google_service_account_key", "google_application_credentials"),
})  # fmt: skip


def translate_error(error: Exception, uri: str) -> RendererError:
    """Return the RendererError for an error of obstore. Of the store's text, which may have keys, it has the code."""
    kind = type(error).__name__
    text = str(error)
    with contextlib.suppress(StopIteration):
        return next(make(uri) for words, make in _TRANSLATIONS if kind in words or any(word in text for word in words))
    hint = f"try again; `renderer doctor --backend k8s --store {uri}` checks it"
    verb = "failed" if "Server returned" in text else "did not answer"
    return TransientError(f"the store {uri} {verb}: {_describe_error(error)}", hint=hint)


def _describe_error(error: Exception) -> str:
    """Return the class of an error of obstore, and the part of its text that has no keys.

    The text is "Generic S3 error: Error performing PUT URL in 2 ms - REASON: <the answer's XML>", and after an empty
    line "Debug source:" with the error's sources, as Rust shows them.
    """
    text, _, sources = str(error).partition("\n\nDebug source:")
    reason = text.partition("\n")[0].rpartition(" - ")[2].partition(": <")[0]
    found = (re.search(pattern, whole) for pattern, whole in zip(_CAUSES, (text, sources, sources)))
    cause = next((match[1] for match in found if match), None)
    words = f"{reason} ({cause})" if cause else reason
    return show_line(f"{type(error).__name__}: {words}"[:REASON_CHARACTERS])


# A code in the answer's XML; what the operating system says; the kind of an HTTP error, such as Timeout.
_CAUSES = (r"<Code>(\w+)</Code>", r'(?:message|error): "([^"\n]*)"', r"HttpError \{\s+kind: (Connect|Timeout)")
_TRANSLATIONS = (
    (
        ("RequestTimeTooSkewed",),
        lambda uri: TransientError(
            f"the store {uri} refused the time of this machine, which is wrong by more than 15 minutes",
            hint="set its clock; another machine of the cluster may work: --retries 3",
        ),
    ),
    (
        ("PermissionDeniedError", "UnauthenticatedError", "403 Forbidden", "401 Unauthorized", "InvalidAccessKeyId"),
        lambda uri: BackendError(f"the store {uri} refused the credentials", hint="check the keys and their expiry"),
    ),
    (
        ("NoSuchBucket",),
        lambda uri: StoreMissingError(f"the bucket of {uri} does not exist", hint="create it, or correct --store"),
    ),
    (
        ("No space left", "os error 28", "Disk quota"),
        lambda uri: OutputError(f"the disk of {uri} is full", hint="free some space there, or use a larger PVC"),
    ),
    (
        ("Permission denied", "Read-only file system", "os error 13", "os error 30"),
        lambda uri: OutputError(f"{uri} cannot be written to", hint="check the owner and the mode of that folder"),
    ),
)
