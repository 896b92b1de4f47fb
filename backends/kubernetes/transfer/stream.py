"""A folder as one stream of bytes that can be taken up again at any byte.

It begins with a line of JSON that names the files; their contents follow, one after the other. The pod sends it, the
client splits it and checks every file's sha256.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from backends.errors import OutputError
from backends.files import sha256

CHUNK = 2**20


def header(folder: Path) -> bytes:
    """Describe every file below ``folder``, in the order in which they follow."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    listing = [
        {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "sha256": sha256(path)}
        for path in files
    ]
    return json.dumps(listing).encode() + b"\n"


def send(folder: Path, head: bytes, offset: int) -> Iterator[bytes]:
    """Give the stream from byte ``offset``; ``head`` is what ``header`` gave."""
    yield head[offset:]
    position = len(head)
    for entry in json.loads(head):
        skip = min(max(offset - position, 0), entry["size"])
        position += entry["size"]
        if skip < entry["size"]:
            with (folder / entry["path"]).open("rb") as file:
                file.seek(skip)
                yield from iter(lambda file=file: file.read(CHUNK), b"")  # type: ignore[misc]


def length(file: BinaryIO) -> int | None:
    """Tell how long the whole stream is; None as long as its first line is not there."""
    file.seek(0)
    head = file.readline()
    return len(head) + sum(entry["size"] for entry in _listing(head)) if head.endswith(b"\n") else None


def unpack(file: BinaryIO, folder: Path) -> None:
    """Write the files of a whole stream into ``folder``. Raises OutputError for one that was damaged on the way."""
    file.seek(0)
    for entry in _listing(file.readline()):
        target = folder / _safe(entry["path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            _copy(file, out, entry["size"])
        if sha256(target) != entry["sha256"]:
            raise OutputError(f"{entry['path']} was damaged on its way here", hint="fetch again")


def _listing(head: bytes) -> list[dict[str, Any]]:
    try:
        content = json.loads(head)
        if not isinstance(content, list):
            raise TypeError  # noqa: TRY301 - it is said below
        return [{"path": str(e["path"]), "size": int(e["size"]), "sha256": str(e["sha256"])} for e in content]
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(
            "the pod sent something else than outputs", hint="is the image of the same version?"
        ) from error


def _safe(path: str) -> str:
    """Refuse a path that leads out of the folder: what runs in the pod may be anybody's code."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise OutputError(f"the pod sent a file named {path!r}, which leads out of the folder")
    return os.path.join(*parts)  # noqa: PTH118 - relative on purpose


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0 and (part := source.read(min(CHUNK, size))):
        target.write(part)
        size -= len(part)


def empty(folder: Path) -> None:
    """Make ``folder`` exist and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
