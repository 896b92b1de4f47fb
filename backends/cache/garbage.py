"""Removes old entries of a shared cache, from the machine of anybody who may write to its store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from backends.errors import OutputError, SpecError
from backends.models import Garbage
from backends.storage import Storage, StoredFile

ABANDONED_S = 3600.0  # the process that wrote an older unfinished file has ended
_ENTRY = re.compile(r"[0-9a-f]{16}/(?:[0-9a-f]{16}|tex|voice)/[0-9a-f]{40}/(?P<name>[0-9a-f]{40}|\.new-[0-9a-f]{16})")


def collect_garbage(uri: str, *, older_than: timedelta, max_bytes: int, dry_run: bool = False) -> Iterator[Garbage]:
    """Remove entries that were written before ``older_than``, then the oldest until the rest fits into ``max_bytes``.

    Files of any other name stay. Raises SpecError for a PVC, which this machine does not reach, and RendererError.
    """
    if uri.startswith("pvc:"):
        raise SpecError(
            f"this machine does not reach {uri}",
            hint="run `renderer gc --cache file:///FOLDER` where the PVC is mounted",
        )
    if uri.startswith("file://") and not (folder := Path(uri.removeprefix("file://"))).is_dir():
        raise OutputError(f"there is no folder {folder}", hint="check --cache")
    storage = Storage(uri)
    now, left = time.time(), max_bytes
    old = []
    for file in sorted(storage.list_files(), key=lambda file: file.modified, reverse=True):
        match = _ENTRY.fullmatch(file.path)
        if not match:
            continue
        age_s = now - file.modified
        if match["name"].startswith("."):
            is_old = age_s > ABANDONED_S
        else:
            left -= file.size
            is_old = left < 0 or age_s > older_than.total_seconds()
        if is_old:
            old.append(file)
    if not dry_run:
        storage.remove([file.path for file in old])
    for file in old:
        yield describe_file(uri, file, now, removed=not dry_run)


def describe_file(uri: str, file: StoredFile, now: float, *, removed: bool) -> Garbage:
    """Return what is said of a file in the folder ``uri``; ``now`` is a time of time.time()."""
    age = timedelta(seconds=max(0.0, now - file.modified))
    return Garbage(path=f"{uri}/{file.path}", size=file.size, age=age, removed=removed)
