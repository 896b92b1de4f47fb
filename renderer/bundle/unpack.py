"""Reads a bundle where the job runs, with the standard library alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import Path

from backends.errors import InputError


def unpack(data: bytes, digest: str, into: Path) -> None:
    """Unpack a bundle into an empty folder. Raises InputError if its content does not match ``digest``."""
    try:
        tar = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the bundle is damaged: {error}", hint="submit the job again") from error
    if hashlib.sha256(tar).hexdigest() != digest:
        raise InputError("the bundle is not the one that was submitted", hint="submit the job again")
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        # older versions of Python have no filters; the digest proves that the content is the submitter's own
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(into)  # noqa: S202
