"""Which Manim is installed, and whether the parallel engine knows it. Does not import Manim."""

from __future__ import annotations

import json
from dataclasses import dataclass

KNOWN = ("0.22.0",)  # with which the engine's tests pass
IMAGE_SOURCE = "file:///opt/manim"  # where the Dockerfile of Manim's public images installs a release from


@dataclass(frozen=True)
class InstalledManim:
    """The version of the installed Manim. ``modified`` is true if it is a working copy or comes from a repository."""

    version: str
    modified: bool = False

    @property
    def why_serial(self) -> str | None:
        """Why the engine leaves the whole render to this Manim; None if it renders its scenes in parallel."""
        if self.version not in KNOWN:
            return f"this is Manim {self.version}, and only {' and '.join(KNOWN)} is rendered in parallel"
        if self.modified:
            return f"this is a Manim from a repository, and only the released {self.version} is rendered in parallel"
        return None


def find_installed_manim() -> InstalledManim | None:
    """Return the installed Manim; None if there is none."""
    from importlib.metadata import PackageNotFoundError, distribution  # slow to import

    try:
        found = distribution("manim")
    except PackageNotFoundError:
        return None
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    built_by_manim = origin.get("url") == IMAGE_SOURCE and not origin.get("dir_info")
    return InstalledManim(found.version, modified="vcs_info" in origin or ("dir_info" in origin and not built_by_manim))
