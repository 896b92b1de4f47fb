"""Lists what pixels and bytes depend on besides the scene: versions of libraries, and this program's source code."""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable


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
    found: list[bytes] = []
    for folder in ("engine", "video"):
        _collect_sources(files("renderer") / folder, found)
    return blake2b(b"".join(found), digest_size=20).hexdigest()


def _collect_sources(folder: Traversable, found: list[bytes]) -> None:
    """Append the content of all Python files below the folder, which may be in the worker's archive."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            _collect_sources(entry, found)
        elif entry.name.endswith(".py"):
            found.append(entry.read_bytes())
