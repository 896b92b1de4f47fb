"""Checks that a job can be divided into shards, and chooses the one seed that they have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backends.errors import SpecError
from renderer.model import Kind, RenderSettings
from renderer.settings import Settings
from renderer.system.limits import count_usable_cores
from renderer.units.film_lengths import find_length

SEED = "--seed"
FILM_SECONDS_PER_SHARD = 20  # a shard's start and stepping cost little in comparison
MAX_AUTO_SHARDS = 16  # more shards step the scene more often than they gain for most films


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


def choose_count(path: Path, scene: str, settings: Settings) -> tuple[int, str] | None:
    """Return how many shards ``auto`` chooses, and why; None if the length of the scene's film is not known here."""
    if settings.format in {"png", "png-sequence"} or settings.renderer == "opengl":
        return 1, "because one process makes images, and what OpenGL draws"
    if settings.backend == "k8s" and settings.store is None:
        return 1, "because pods need a --store in which they meet"
    length = find_length(path, scene)
    if length is None:
        return None
    if length.is_serial:
        return 1, "because the scene cannot be rendered in parallel"
    wanted = max(1, int(length.seconds / FILM_SECONDS_PER_SHARD))
    most, bound = _find_most(settings)
    why = f"for a film of {length.seconds:g} s: one for every {FILM_SECONDS_PER_SHARD} s"
    return min(wanted, most), f"{why}, but not more than {bound}" if wanted > most else why


def _find_most(settings: Settings) -> tuple[int, str]:
    """Return the largest number of shards that ``auto`` chooses, and what limits it."""
    if settings.backend in {"local", "docker"}:
        most, bound = count_usable_cores(), "this machine has cores"
    elif settings.backend == "modal":
        most, bound = settings.modal.max_containers or MAX_AUTO_SHARDS, "--modal-max-containers allows"
    else:
        most, bound = settings.k8s.parallelism or MAX_AUTO_SHARDS, "--parallelism allows"
    return (most, bound) if most < MAX_AUTO_SHARDS else (MAX_AUTO_SHARDS, str(MAX_AUTO_SHARDS))
