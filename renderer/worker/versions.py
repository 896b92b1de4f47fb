"""What a result was made with."""

from __future__ import annotations

import platform

DISTRIBUTION = "manim-renderer"
_OF_KIND = {"manim": ("manim", "av", "numpy", "pycairo", "manimpango"), "script": ()}


def versions(kind: str) -> dict[str, str]:
    """Give name and version of Python, of this program and of what renders that kind of job."""
    import importlib.metadata  # slow to import; Manim has done it by now

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (DISTRIBUTION, *_OF_KIND[kind]):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
