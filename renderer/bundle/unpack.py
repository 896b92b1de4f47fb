"""Reads a bundle where the job runs, with the standard library alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from backends.errors import InputError


def unpack(data: bytes, digest: str, into: Path, links: Iterable[tuple[str, str]] = ()) -> None:
    """Unpack a bundle into an empty folder. Raises InputError if its content does not match ``digest``.

    ``links`` are names and targets of symbolic links to make beside its files.
    """
    with _open(data, digest) as archive:
        # older versions of Python have no filters; the digest proves that the content is the submitter's own
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(into)  # noqa: S202
    for name, target in links:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).symlink_to(target)


def read_file(data: bytes, digest: str, name: str) -> bytes:
    """Return the content of one file of a bundle. Raises InputError as ``unpack``, and if there is no such file."""
    with _open(data, digest) as archive:
        try:
            file = archive.extractfile(name)
        except KeyError:
            file = None
        if file is None:
            raise InputError(f"the bundle holds no file {name}", hint="submit the job again")
        return file.read()


def _open(data: bytes, digest: str) -> tarfile.TarFile:
    try:
        tar = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the bundle is damaged: {error}", hint="submit the job again") from error
    if hashlib.sha256(tar).hexdigest() != digest:
        raise InputError("the bundle is not the one that was submitted", hint="submit the job again")
    return tarfile.open(fileobj=io.BytesIO(tar), mode="r:")  # without a mode it would try each compression first
