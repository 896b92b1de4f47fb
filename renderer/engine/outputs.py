"""Moves what Manim made to where it was asked for, under Manim's own names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def collect(plan: Any, folder: Path) -> tuple[Path, ...]:  # Manim's OutputPlan
    """Move the video or image, subtitles and sections of one scene into ``folder``; give their relative paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [path for path in (plan.primary_artifact, plan.fallback_image, plan.subcaption_file) if path]
    if plan.sections_dir:
        made.append(plan.sections_dir)
    moved = [_move(Path(path), folder) for path in made if Path(path).exists()]
    return tuple(sorted(path for found in moved for path in _files(found, folder)))


def _move(path: Path, folder: Path) -> Path:
    target = folder / path.name
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(path, target)
    return target


def _files(path: Path, folder: Path) -> list[Path]:
    found = [path] if path.is_file() else [child for child in path.rglob("*") if child.is_file()]
    return [child.relative_to(folder) for child in found]
