"""Finds a scene as `manim render FILE SCENE` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.errors import SpecError


def load_scene_class(scene: str) -> Any:  # a class of the user's file
    """Run the configured input file and give its scene of that name. SpecError; what the file raises comes through."""
    from manim import config
    from manim.utils.module_ops import get_module, get_scene_classes_from_module

    file = Path(config.input_file)
    if not file.is_file():
        raise SpecError(f"there is no file {file.name}", hint="check the path")
    if file.suffix != ".py":
        raise SpecError(f"{file.name} is no Python file", hint="Manim scenes stand in files that end in .py")
    classes = {found.__name__: found for found in reversed(get_scene_classes_from_module(get_module(file)))}
    if scene not in classes:
        names = ", ".join(sorted(classes)) or "none"
        raise SpecError(f"{file.name} has no scene {scene!r}", hint=f"scenes in it: {names}")
    return classes[scene]
