"""Folders of files in an object store (s3://, gs://) or on a mounted disk (file://), through one small interface."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.errors import BackendError, OutputError, RendererError, StoreMissingError, TransientError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK = 8 * 2**20  # bytes: the parts of an upload, and what is in memory of a download
TRIES = 5
FIRST_PAUSE_S = 0.25


class Storage:
    """One folder, named by a URI. Paths are relative to it, with slashes."""

    def __init__(self, uri: str, environment: Mapping[str, str] | None = None) -> None:
        """Use the credentials of ``environment`` (AWS_*, GOOGLE_*), the process's own by default. Touches nothing."""
        self.uri = uri
        self._store = _open(uri, os.environ if environment is None else environment)

    def put(self, path: str, source: Path) -> None:
        """Store a file; nothing of it is seen before all of it is there. Raises BackendError, TransientError."""
        import obstore

        def upload() -> None:
            with source.open("rb") as file:
                obstore.put(self._store, path, file, chunk_size=CHUNK)

        self._retry(upload)

    def put_bytes(self, path: str, data: bytes) -> None:
        """Store a small file."""
        import obstore

        self._retry(lambda: obstore.put(self._store, path, data))

    def get(self, path: str, target: Path) -> None:
        """Copy a file here; one that is cut short goes on where it stopped. Raises OutputError where there is none."""
        size = self.size(path)
        if size is None:
            raise OutputError(f"{self.uri}/{path} is not there")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while (have := file.tell()) < size:
                part = self._read(path, have, min(CHUNK, size - have))
                file.write(part)

    def size(self, path: str) -> int | None:
        """Tell how many bytes a file has; None where there is none."""
        import obstore

        try:
            return int(self._retry(lambda: obstore.head(self._store, path))["size"])
        except FileNotFoundError:
            return None

    def list(self, folder: str = "") -> Iterator[str]:
        """Give the paths of all files below a folder."""
        import obstore

        prefix = f"{folder.rstrip('/')}/" if folder else None
        found = self._retry(lambda: obstore.list(self._store, prefix=prefix).collect())
        yield from (str(item["path"]) for item in found)

    def delete(self, folder: str = "") -> None:
        """Remove every file below a folder."""
        import obstore

        paths = list(self.list(folder))
        if paths:
            self._retry(lambda: obstore.delete(self._store, paths))

    def _read(self, path: str, start: int, length: int) -> bytes:
        import obstore

        try:
            return bytes(self._retry(lambda: obstore.get_range(self._store, path, start=start, length=length)))
        except FileNotFoundError as error:
            raise OutputError(f"{self.uri}/{path} was removed while it was read") from error

    def _retry(self, action: Any) -> Any:
        """Try again what may work a moment later: 500s, cut connections."""
        for attempt in range(TRIES):
            try:
                return action()
            except RendererError:
                raise
            except Exception as error:
                if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                    raise
                known = _explain(error, self.uri)
                if not isinstance(known, TransientError) or attempt == TRIES - 1:
                    raise known from error
            time.sleep(FIRST_PAUSE_S * 2**attempt)
        raise AssertionError


def _open(uri: str, environment: Mapping[str, str]) -> ObjectStore:
    """Open the store without asking it anything; the settings that obstore itself reads from the process are given."""
    from obstore.store import LocalStore, from_url

    if uri.startswith("file://"):
        return LocalStore(uri.removeprefix("file://"), mkdir=True, automatic_cleanup=True)
    prefix = {"s3": "aws_", "gs": "google_"}[uri.partition("://")[0]]
    config: Any = {key.lower(): value for key, value in environment.items() if key.lower().startswith(prefix) and value}
    config = {key: value for key, value in config.items() if key in _KEYS}
    endpoint = config.get("aws_endpoint_url") or config.get("aws_endpoint") or ""
    options: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
    retry: Any = {"max_retries": 0}  # ours knows what is worth it
    open_url: Any = from_url  # its overloads want literal settings
    store: ObjectStore = open_url(uri, config=config, client_options={"timeout": "120s", **options}, retry_config=retry)
    return store


_KEYS = frozenset({
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region", "aws_default_region"),
    *("aws_endpoint_url", "aws_endpoint", "aws_virtual_hosted_style_request"),
    *("aws_web_identity_token_file", "aws_role_arn", "aws_role_session_name", "aws_container_credentials_relative_uri"),
    *("google_service_account", "google_service_account_key", "google_application_credentials"),
})  # fmt: skip


def _explain(error: Exception, uri: str) -> RendererError:
    """Say what a store's error means. Its answer may hold keys, so only its kind is told."""
    kind = type(error).__name__
    text = str(error)
    with contextlib.suppress(StopIteration):
        return next(make(uri) for words, make in _MEANINGS if kind in words or any(word in text for word in words))
    return TransientError(f"the store {uri} did not answer", hint="try again; `renderer doctor` asks the store")


_MEANINGS = (
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
        lambda uri: OutputError(f"the disk of {uri} is full", hint="free some space there, or use a larger claim"),
    ),
    (
        ("Permission denied", "Read-only file system", "os error 13", "os error 30"),
        lambda uri: OutputError(f"{uri} cannot be written to", hint="check the owner and the mode of that folder"),
    ),
)
