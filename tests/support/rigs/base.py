"""The rig: a backend as the tests use it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.video import manim_render

import renderer
from renderer import MappedJob, config
from renderer.api import Job, open_job, submit
from renderer.settings import Settings

FOREIGN = Path(__file__).parents[2] / "image" / "foreign-image"


def make_foreign_image(kind: str) -> str:
    """Return the name of an image of tests/image/foreign-image; make it unless it exists."""
    return subprocess.run([FOREIGN, kind], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Rig:
    """A backend that is ready to use: ``settings`` by dotted key, as submit takes them."""

    backend: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    foreign_image: Callable[[str], str] | None = None  # makes an image that has nothing of renderer, returns its name

    def submit(self, path: Path, *scenes: str, **more: Any) -> Job:
        """Submit a file to this backend."""
        return submit(path, *scenes, **{"backend": self.backend, **self.settings, **more})

    def map(self, path: Path, inputs: Any, **more: Any) -> MappedJob:
        """Submit a map to this backend."""
        return renderer.map(path, inputs, **{"backend": self.backend, **self.settings, **more})

    def open(self, handle: str) -> Job:
        """Find a job again, as another shell would."""
        return open_job(handle, self.loaded())

    def plain(self, file: Path, *scenes: str, folder: Path) -> dict[str, Path]:
        """Render with plain Manim where this backend renders, with the same fonts; return the video of each scene."""
        return manim_render(file, *scenes, media=folder)

    def loaded(self) -> Settings:
        """Return the settings that reach this backend."""
        return config.load({"backend": self.backend, **self.settings}).settings
