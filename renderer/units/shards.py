"""Checks that a job can be divided into shards, and chooses the one seed that they have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from backends.errors import SpecError
from renderer.model import Kind, RenderSettings
from renderer.settings import Settings

SEED = "--seed"


def check_shards(settings: Settings, kind: Kind, units: Sequence[str], *, is_map: bool) -> None:
    """Raise SpecError for a job that ``--shards`` cannot divide."""
    if kind == "script":
        raise SpecError("--shards divides the frames of a scene, and this file is a script", hint="leave --shards out")
    if is_map:
        raise SpecError("--shards renders one scene, and a map has many inputs", hint="leave --shards out")
    if len(units) != 1:
        raise SpecError(
            f"--shards renders one scene, and these are {len(units)}: {', '.join(units[:5])}",
            hint="name one, and submit a job for each",
        )
    if settings.untrusted:
        raise SpecError(
            "--shards does not work with --untrusted: shards share a store, which code of strangers must not write to",
            hint="leave --shards out",
        )


def choose_seed(render: RenderSettings, digest: str) -> RenderSettings:
    """Return the settings with a seed of random numbers: all shards must have the same.

    Without ``--seed`` it is made from the settings and from the digest of the project's files.
    """
    options = render.manim_options
    if any(word == SEED or word.startswith(f"{SEED}=") for word in options):
        return render
    seed = int(hashlib.sha256(f"{render} {digest}".encode()).hexdigest()[:7], 16)
    return replace(render, manim_options=(*options, SEED, str(seed)))
