"""Finds the versions of everything that a result was made with."""

from __future__ import annotations

import functools
import platform

DISTRIBUTION = "manim-renderer"
_BY_KIND = {"manim": ("manim", "av", "numpy", "pycairo", "manimpango"), "script": ()}


@functools.lru_cache(maxsize=None)  # functools.cache is new in Python 3.9
def find_versions(kind: str) -> dict[str, str]:
    """Return name and version of Python, of this program and of the packages that render that kind of job."""
    import importlib.metadata  # slow to import; Manim has imported it by now

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (DISTRIBUTION, *_BY_KIND[kind]):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
