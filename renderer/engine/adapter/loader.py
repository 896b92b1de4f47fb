"""Finds a scene as `manim render FILE SCENE` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backends.errors import SpecError
from renderer.engine.manim_types import Scene


def load_scene_class(scene: str) -> Callable[[], Scene]:
    """Run the file that Manim is configured for, and return its scene class of that name.

    Raises SpecError if there is no such file or scene, and every exception that the file raises.
    """
    from manim import config
    from manim.utils.module_ops import get_module, get_scene_classes_from_module

    file = Path(config.input_file)
    if not file.is_file():
        raise SpecError(f"there is no file {file.name}", hint="check the path")
    if file.suffix != ".py":
        raise SpecError(f"{file.name} is not a Python file", hint="put Manim scenes into a file that ends in .py")
    classes = {found.__name__: found for found in reversed(get_scene_classes_from_module(get_module(file)))}
    if scene not in classes:
        names = ", ".join(sorted(classes)) or "none"
        raise SpecError(f"{file.name} has no scene {scene!r}", hint=f"scenes in it: {names}")
    return classes[scene]  # type: ignore[no-any-return]
