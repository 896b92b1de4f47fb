"""Writes the files of a request into the folder of a new job: names are checked, sizes counted, links refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from backends.errors import OutputError, SpecError
from backends.untrusted import check_relative_name, create_beneath, show_line
from renderer.serve.problems import FREE_DISK, RefusedError
from renderer.serve.schemas import MAX_CODE, MAX_FILES, Submission

_COPY_BYTES = 2**20
_MIB = 2**20
_HEADER_BYTES = 2**20


class _Member(tarfile.TarInfo):
    """An entry of an archive. Its names and further headers, which tarfile reads into memory, have a limit.

    Sparse files are refused: tarfile reads the lists of their parts into memory, and these may go on without end.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_sparse()
        if self.size > _HEADER_BYTES and not self.isfile():
            raise tarfile.ReadError("an entry has too long a header")
        return super()._proc_member(archive)  # type: ignore[misc]  # tarfile says that it may be overridden

    def _refuse_sparse(self, *_: object) -> NoReturn:
        raise tarfile.ReadError("it has a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse  # the three forms in PAX headers


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """Yield a form with its files, which lie on the disk without a name. They are gone after the block.

    So they are when the client breaks off. Raises RefusedError for what is no such form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RefusedError(415, "the body is no form with files", hint="send it as multipart/form-data")
    limits = {"max_files": MAX_FILES + 1, "max_fields": 20, "max_part_size": MAX_CODE}
    parser = MultiPartParser(request.headers, request.stream(), **limits)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, f"the form cannot be read: {error.message}", hint="send multipart/form-data") from error
    except BaseException as error:
        for file in parser._files_to_close_on_error:  # noqa: SLF001  # only its own errors make the parser do so
            with suppress(OSError):  # a full disk does not take the rest
                file.close()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write the files: {error.strerror}", hint=FREE_DISK) from error
        raise
    try:
        yield form
    finally:
        await form.close()


class Upload:
    """The files of one job. ``digest`` is that of all names and contents so far."""

    def __init__(self, folder: Path, limit_mib: int) -> None:
        self.folder = folder
        self._limit, self._left = limit_mib, limit_mib * _MIB
        self._names: set[str] = set()
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of what was added, in hexadecimal."""
        return self._digest.hexdigest()

    def add(self, name: str, source: BinaryIO) -> None:
        """Copy a file. Raises SpecError for a bad name, for one that is there already, and for too many bytes."""
        shown = show_line(name[:200])
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in self._names:
            raise SpecError(f"the file '{shown}' is sent twice", hint="names that differ only in case count as equal")
        if len(self._names) == MAX_FILES:
            raise SpecError(f"a job has at most {MAX_FILES} files", hint="send large data sets as one file")
        self._names.add(folded)
        content = hashlib.sha256()
        try:
            check_relative_name(name)
            with create_beneath(self.folder, name) as target:
                while chunk := source.read(_COPY_BYTES):
                    self._count(len(chunk))
                    content.update(chunk)
                    target.write(chunk)
        except (OutputError, FileExistsError) as error:
            raise SpecError(
                f"a file cannot have the name '{shown}'", hint="send plain paths such as assets/logo.svg, without .."
            ) from error
        self._digest.update(f"{name}\0{content.hexdigest()}\0".encode("utf-8", "surrogatepass"))

    def add_tar(self, archive: BinaryIO) -> None:
        """Copy the files of a tar archive, plain or compressed with gzip, bzip2 or xz. Raises SpecError."""
        try:
            with tarfile.open(
                fileobj=archive, mode="r|*", tarinfo=_Member
            ) as tar:  # as a stream: nothing is read twice
                for member in self._members(tar):
                    source = tar.extractfile(member)
                    self.add(member.name.removeprefix("./"), source)  # type: ignore[arg-type]  # of a regular file
        except (SpecError, OSError):
            raise
        except Exception as error:  # damaged data leads tarfile to a TypeError, an AttributeError and others
            reason = error if isinstance(error, tarfile.TarError) else "it is damaged"
            hint = "send a tar file, or one with gzip, without sparse files"
            raise SpecError(f"the archive cannot be read: {reason}", hint=hint) from error

    def _members(self, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for number, member in enumerate(tar):
            if number > 10 * MAX_FILES:
                raise SpecError(f"the archive has more than {10 * MAX_FILES} entries")
            if member.isdir():
                continue
            if not member.isfile():
                raise SpecError(
                    f"{show_line(member.name)} in the archive is not a regular file",
                    hint="links and devices are not taken: tar --dereference",
                )
            yield member

    def add_submission(self, submission: Submission) -> None:
        """Write the files that are in the request itself. Raises SpecError."""
        files = dict(submission.files)
        if submission.code is not None:
            if submission.file in files:
                raise SpecError(f"{submission.file} is sent twice: as code and in files")
            files[submission.file] = submission.code
        for name, text in files.items():
            try:
                self.add(name, io.BytesIO(text.encode()))
            except UnicodeEncodeError as error:
                raise SpecError(f"the file {name!a} is not Unicode text", hint="send it as an upload") from error

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise SpecError(
                f"the files have more than {self._limit} MiB", hint="send less, or use a token with a larger limit"
            )
