"""What an image contains, checked before anything is built."""

from __future__ import annotations

import re
import tempfile
import zoneinfo
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backends.errors import SpecError
from backends.image import context as image_context
from backends.image.requirements import check_requirement

CUDA: Mapping[str, str] = {"12.2": "12.2.0", "12.4": "12.4.1"}  # tags of nvidia/cuda on Ubuntu 22.04
USUAL_CUDA, NO_CUDA = "12.2", "none"
REPOSITORY = "manim-renderer"
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][\w.-]{0,127})?"
)


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """What one image contains.

    ``cuda`` is the CUDA version of NVIDIA's base images, or "none" for base images without CUDA. ``base`` replaces
    NVIDIA's base image of all stages of the Dockerfile, ``runtime`` that of the last stage. ``extra`` are lines of a
    requirements file.
    """

    name: str = REPOSITORY
    cuda: str | None = None
    base: str | None = None
    runtime: str | None = None
    tex: Literal["small", "full"] = "small"
    python: str = "3.11"
    tz: str = "UTC"
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise SpecError for an image that cannot be built."""
        if not _REFERENCE.fullmatch(self.name):
            raise SpecError(f"{self.name!r} is not the name of an image", hint="for example ghcr.io/me/manim-renderer")
        self._check_cuda()
        if not re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", self.python):
            raise SpecError(f"Python {self.python!r} cannot run Manim", hint="use --python 3.11 or newer")
        if self.tz not in zoneinfo.available_timezones():
            raise SpecError(f"there is no time zone {self.tz!r}", hint="for example Asia/Shanghai or UTC")
        for line in self.extra:
            check_requirement(line)

    def _check_cuda(self) -> None:
        if self.cuda not in {*CUDA, NO_CUDA, None}:
            raise SpecError(
                f"there is no image for CUDA {self.cuda!r}", hint=f"use --cuda {' or '.join(CUDA)}, or --base"
            )
        if self.cuda in CUDA and self.base:
            raise SpecError("--cuda and --base both choose the base image", hint="leave one of them out")
        if self.cuda == NO_CUDA and not (self.base or self.runtime):
            raise SpecError(
                "--cuda none needs a base image without CUDA", hint="for example --base docker.io/library/ubuntu:24.04"
            )

    def arguments(self) -> dict[str, str]:
        """Return the Dockerfile's build arguments."""
        nvidia = f"docker.io/nvidia/cuda:{CUDA.get(self.cuda or '', CUDA[USUAL_CUDA])}"
        return image_context.build_arguments() | {
            "BASE_IMAGE": self.base or f"{nvidia}-devel-ubuntu22.04",
            "RUNTIME_IMAGE": self.runtime or self.base or f"{nvidia}-runtime-ubuntu22.04",
            "CUDA": NO_CUDA if self.cuda == NO_CUDA else "required",
            "PYTHON_VERSION": self.python,
            "TEX": self.tex,
            "TZ": self.tz,
        }

    @contextmanager
    def staged(self) -> Iterator[tuple[Path, str]]:
        """Yield a temporary folder to build from, and the image's name with a tag that is a hash of its content."""
        with tempfile.TemporaryDirectory(prefix="renderer-image-") as folder:
            image_context.copy_context(Path(folder), self.extra)
            yield Path(folder), self._reference(image_context.hash_context(Path(folder), self.arguments()))

    def reference(self) -> str:
        """Return the image's name with a tag that is a hash of its content, or the name as it is if it has a tag."""
        with self.staged() as (_, reference):
            return reference

    def _reference(self, digest: str) -> str:
        if ":" in self.name.rpartition("/")[2]:
            return self.name
        return f"{self.name}:{self.arguments()['VERSION']}-{digest}"
