"""A folder of outputs as one stream of bytes. If a download of it breaks, it can continue at any byte.

First comes the header, one line of JSON for each file and an empty line; the contents follow in the same order. Where
a job ran, ``build_header`` and ``send`` make the stream. The client, which does not trust it, reads it with
``read_length`` and ``unpack``: they raise OutputError, whatever the bytes are, and write beneath one folder only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from backends.errors import OutputError
from backends.untrusted import Limits, OutputCounter, check_relative_name, create_beneath, open_beneath, show_line
from backends.untrusted.names import MAX_DEPTH
from backends.untrusted.open_folder import open_folder
from backends.worker_protocol import Output

CHUNK = 2**20
MAX_LINE = 4096  # bytes of one line of the header: a path has 1,024 bytes at most


def list_files(folder: Path | int, limits: Limits | None = None) -> list[tuple[str, int]]:
    """Return the names, sorted, and the apparent sizes of all regular files below ``folder``. No link is followed.

    ``folder`` is a path, or the descriptor of an open folder. Raises OutputError for more files, folders or bytes than
    the limits, before any content is read. Names are not checked.
    """
    limits = limits or Limits()
    counter, found = OutputCounter(limits), []
    for name, info in walk(folder, limits):
        is_file = stat.S_ISREG(info.st_mode)
        counter.add(info.st_size if is_file else 0)
        if is_file:
            found.append((name, info.st_size))
    return sorted(found)


def walk(
    folder: Path | int, limits: Limits, *, known: int = 0, skips: Callable[[str], bool] = lambda _: False
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name and state of everything below ``folder`` but folders. No link is followed.

    Folders are left out if ``skips`` returns true for their name. Raises OutputError for more folders than the limits,
    not counting ``known`` ones, for too many in each other, and for one that cannot be read. Names are not checked.
    """
    folders = [""]
    for name in folders:  # the loop appends to the list
        if len(folders) > limits.files + known or name.count("/") >= MAX_DEPTH:
            raise OutputError(
                f"the job made more than {limits.files} folders, or more than {MAX_DEPTH} in each other",
                hint="write the outputs into fewer folders",
            )
        with _scan(folder, name) as entries:
            for entry in entries:
                path = f"{name}/{entry.name}" if name else entry.name
                if not entry.is_dir(follow_symlinks=False):
                    yield path, entry.stat(follow_symlinks=False)
                elif not skips(path):
                    folders.append(path)


def build_header(folder: Path, limits: Limits | None = None) -> bytes:
    """Return the header, which lists all regular files below ``folder``.

    Raises OutputError for a name that is not allowed, or for more than the limits.
    """
    entries = []
    for name, size in list_files(folder, limits):
        path = str(check_relative_name(name))
        with open_beneath(folder, path) as file:
            digest = hashlib.sha256()
            for chunk in _read(file, size, path):
                digest.update(chunk)
        entries.append(Output(path=path, size=size, sha256=digest.hexdigest()))
    return format_header(entries)


def format_header(entries: Iterable[Output]) -> bytes:
    """Return the header of files whose digests are known."""
    return b"".join(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n" for entry in entries) + b"\n"


def send(folder: Path, header: bytes, offset: int) -> Iterator[bytes]:
    """Yield the stream from byte ``offset`` on; ``header`` is what ``build_header`` returned.

    Raises OutputError for a file that has become shorter. If a file has grown, the new bytes are left out.
    """
    yield header[offset:]
    position = len(header)
    for line in header.splitlines()[:-1]:
        entry = Output(**json.loads(line))
        skip = min(max(offset - position, 0), entry.size)
        position += entry.size
        if skip < entry.size:
            with open_beneath(folder, entry.path) as file:
                file.seek(skip)
                yield from _read(file, entry.size - skip, entry.path)


def read_length(file: BinaryIO, limits: Limits | None = None) -> int | None:
    """Return the length of the whole stream, from the part that ``file`` has; None if the header is not complete yet.

    Raises OutputError.
    """
    file.seek(0)
    entries = read_header(file, limits or Limits())
    return None if entries is None else file.tell() + sum(entry.size for entry in entries)


def unpack(file: BinaryIO, folder: Path, limits: Limits | None = None) -> list[Output]:
    """Write the files of a complete stream into ``folder``, and return what they are.

    Raises OutputError where the stream is damaged or where a file has the name of another one; OSError where
    ``folder`` cannot be written.
    """
    file.seek(0)
    entries = read_header(file, limits or Limits())
    if entries is None:
        raise _damage("the outputs")
    for entry in entries:
        digest = hashlib.sha256()
        try:
            with create_beneath(folder, entry.path) as target:
                for chunk in _read(file, entry.size, entry.path):
                    target.write(chunk)
                    digest.update(chunk)
        except FileExistsError:
            raise OutputError(f"the job sent {show_line(entry.path)} twice", hint="submit the job again") from None
        if digest.hexdigest() != entry.sha256:
            raise _damage(entry.path)
    return entries


def make_empty(folder: Path) -> None:
    """Create ``folder``, or empty it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@contextmanager
def _scan(folder: Path | int, name: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """Yield the entries of a folder below ``folder``, each part of whose name is opened without following links."""
    try:
        with open_folder(folder, *filter(None, name.split("/")), follow=False) as found, found.scan() as entries:
            yield entries
    except OSError as error:  # removed in the meantime, or made unreadable
        raise OutputError(f"cannot read the outputs in {show_line(name) or '.'}: {error.strerror}") from error


def read_header(file: BinaryIO, limits: Limits) -> list[Output] | None:
    """Return the files that the header lists, whose contents follow in this order; None if it is not complete.

    Then ``file`` is at the end of the header. Raises OutputError.
    """
    counter = OutputCounter(limits)
    entries: list[Output] = []
    while (line := file.readline(MAX_LINE + 1)).endswith(b"\n"):
        if line == b"\n":
            return entries
        entry = _parse_line(line)
        counter.add(entry.size)
        entries.append(entry)
    if len(line) > MAX_LINE:
        raise _foreign()
    return None


def _parse_line(line: bytes) -> Output:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _foreign() from error
    values = content if isinstance(content, dict) else {}
    path, size, digest = (values.get(key) for key in ("path", "size", "sha256"))
    if type(path) is not str or type(size) is not int or type(digest) is not str or size < 0:
        raise _foreign()
    return Output(path=str(check_relative_name(path)), size=size, sha256=digest)


def _read(file: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    """Yield the next ``size`` bytes. Raises OutputError if there are fewer."""
    while size > 0:
        if not (chunk := file.read(min(CHUNK, size))):
            raise _damage(name)
        yield chunk
        size -= len(chunk)


def _foreign() -> OutputError:
    return OutputError(
        "the job sent something else than outputs",
        hint="use an image with the same version of renderer as this machine",
    )


def _damage(name: str) -> OutputError:
    return OutputError(f"{show_line(name)} was damaged during the download", hint="run `renderer fetch HANDLE` again")
