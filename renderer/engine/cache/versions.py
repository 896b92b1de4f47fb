"""Lists what pixels and bytes depend on besides the scene: versions of libraries, and this program's source code."""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path


@cache
def describe_versions(*, with_ffmpeg: bool) -> str:
    """Return everything that pixels and bytes depend on, except the scene and the encoder's settings.

    ``with_ffmpeg`` is true if the ffmpeg program encodes; only then is its version included.
    """
    import av
    import cairo

    from renderer.video.ffmpeg_encoder import read_ffmpeg_version

    encoder = read_ffmpeg_version() if with_ffmpeg else repr(av.library_versions)
    packages = [version(package) for package in ("manim", "numpy", "pycairo", "pillow", "av")]
    return repr([os.uname().machine, _digest_own_source(), cairo.cairo_version_string(), *packages, encoder])


def _digest_own_source() -> str:
    package = Path(__file__).parents[2]
    files = [package.parent]  # the worker's archive
    if package.is_dir():
        files = sorted(path for folder in ("engine", "video") for path in (package / folder).rglob("*.py"))
    return blake2b(b"".join(path.read_bytes() for path in files), digest_size=20).hexdigest()
