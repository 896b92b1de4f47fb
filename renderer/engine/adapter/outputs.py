"""Moves what Manim made to where it was asked for, under Manim's own names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def collect(plan: Any, scratch: Path, folder: Path) -> tuple[Path, ...]:  # Manim's OutputPlan
    """Move the video or image, subtitles and sections of one scene into ``folder``; give their relative paths.

    With them goes what scenes that it rendered itself have left in Manim's folders within ``scratch``.
    """
    made = [path for path in (plan.primary_artifact, plan.fallback_image, plan.subcaption_file) if path]
    if plan.sections_dir:
        made.append(plan.sections_dir)
    moved = [_move(Path(path), folder) for path in made if Path(path).exists()]
    moved += [_move(path, (folder / path.relative_to(root)).parent) for root, path in _left(scratch)]
    return tuple(sorted({path for found in moved for path in _files(found, folder)}))


def _left(scratch: Path) -> list[tuple[Path, Path]]:
    from manim import config

    media = Path(config.media_dir).resolve()
    if not media.is_relative_to(scratch.resolve()):
        return []  # a folder that the scene's file has chosen may hold what is older
    roots = [media / "videos", media / "images"]
    found = [(root, path) for root in roots for path in root.rglob("*") if path.is_file()]
    return [(root, path) for root, path in found if path.suffix != ".wav"]  # a sound is in its video


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(path, target)
    return target


def _files(path: Path, folder: Path) -> list[Path]:
    found = [path] if path.is_file() else [child for child in path.rglob("*") if child.is_file()]
    return [child.relative_to(folder) for child in found]
