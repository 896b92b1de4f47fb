"""A folder as one stream of bytes that can be continued at any byte.

The first line is JSON that lists the files; their contents follow in the same order. The pod sends the stream, and the
client splits it and checks the sha256 of each file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypedDict

from backends.errors import OutputError
from backends.files import sha256

CHUNK = 2**20


class FileEntry(TypedDict):
    """One file of the stream: ``path`` relative to the folder with slashes, ``size`` in bytes."""

    path: str
    size: int
    sha256: str


def build_header(folder: Path) -> bytes:
    """Return the first line of the stream: every file below ``folder``, without links."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    entries = [
        FileEntry(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256(path))
        for path in files
    ]
    return json.dumps(entries).encode() + b"\n"


def send(folder: Path, header: bytes, offset: int) -> Iterator[bytes]:
    """Yield the stream from byte ``offset`` on; ``header`` is what ``build_header`` returned."""
    yield header[offset:]
    position = len(header)
    for entry in json.loads(header):
        skip = min(max(offset - position, 0), entry["size"])
        position += entry["size"]
        if skip < entry["size"]:
            with (folder / entry["path"]).open("rb") as file:
                file.seek(skip)
                yield from iter(lambda file=file: file.read(CHUNK), b"")  # type: ignore[misc]


def read_length(file: BinaryIO) -> int | None:
    """Return the length of the whole stream; None while its first line is not complete."""
    file.seek(0)
    header = file.readline()
    return len(header) + sum(entry["size"] for entry in _parse_header(header)) if header.endswith(b"\n") else None


def unpack(file: BinaryIO, folder: Path) -> None:
    """Write the files of a complete stream into ``folder``. Raises OutputError where it is damaged."""
    file.seek(0)
    for entry in _parse_header(file.readline()):
        target = folder / _check_path(entry["path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            _copy(file, out, entry["size"])
        if sha256(target) != entry["sha256"]:
            raise OutputError(f"{entry['path']} was damaged during the download", hint="run `renderer fetch` again")


def _parse_header(header: bytes) -> list[FileEntry]:
    try:
        content = json.loads(header)
        if not isinstance(content, list):
            raise TypeError  # noqa: TRY301 - it is translated below
        return [FileEntry(path=str(e["path"]), size=int(e["size"]), sha256=str(e["sha256"])) for e in content]
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(
            "the pod sent something else than outputs",
            hint="use an image with the same version of renderer as this machine",
        ) from error


def _check_path(path: str) -> str:
    """Return the path, or raise OutputError where it leads out of the folder: the pod runs untrusted code."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise OutputError(
            f"the pod sent a file named {path!r}, which leads out of the folder",
            hint="do not trust this job's outputs: delete it with `renderer delete`",
        )
    return os.path.join(*parts)  # noqa: PTH118 - relative on purpose


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0 and (chunk := source.read(min(CHUNK, size))):
        target.write(chunk)
        size -= len(chunk)


def make_empty(folder: Path) -> None:
    """Create ``folder``, or empty it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
