"""Parses ``--cache``, the store of the shared cache."""

from __future__ import annotations

import re

from backends.errors import SpecError

_LOCATION = re.compile(r"(s3|gs|pvc)://[A-Za-z0-9][A-Za-z0-9._-]*((?:/[^/?#]+)*)/?|file://((?:/[^/?#]+)+)/?")
FORMS = "write s3://bucket/prefix, gs://bucket/prefix, file:///folder or pvc://claim/path"


def check_cache_uri(uri: str, backend: str) -> str:
    """Return the URI without a slash at its end. Raises SpecError if this backend cannot use it."""
    match = _LOCATION.fullmatch(uri)
    if not match or ".." in (match[2] or match[3] or "").split("/"):
        raise SpecError(f"there is no shared cache {uri!r}", hint=FORMS)
    if backend == "k8s" and uri.startswith("file:"):
        raise SpecError(
            f"pods cannot read the folder {uri}",
            hint="write s3://bucket/prefix, gs://bucket/prefix or pvc://claim/path",
        )
    if backend != "k8s" and uri.startswith("pvc:"):
        raise SpecError(
            f"only jobs on Kubernetes can use the cache {uri}",
            hint="write s3://bucket/prefix, gs://bucket/prefix, or file:///folder where the disk is mounted here",
        )
    return uri.rstrip("/")
