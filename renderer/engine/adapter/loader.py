"""Finds a scene as `manim render FILE SCENE` does."""

from __future__ import annotations

import ast
import difflib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from backends.errors import SpecError
from renderer.engine.manim_types import Scene

MAX_NAMED = 10  # scenes in a message


def load_scene_class(scene: str) -> Callable[[], Scene]:
    """Run the file that Manim is configured for, and return its scene class of that name.

    The file finds in ``sys.argv`` how it would be rendered by hand, as it does in `manim render`.
    Raises SpecError if there is no such file or scene, and every exception that the file raises.
    """
    from manim import config
    from manim.utils.module_ops import get_scene_classes_from_module

    file = Path(config.input_file)
    if not file.is_file():
        raise SpecError(f"there is no file {file.name}", hint="check the path")
    if file.suffix != ".py":
        raise SpecError(f"{file.name} is not a Python file", hint="put Manim scenes into a file that ends in .py")
    sys.argv = ["manim", "render", os.path.relpath(file), scene]
    module = load_module(file)
    classes = {found.__name__: found for found in reversed(get_scene_classes_from_module(module))}
    if scene not in classes:
        raise _unknown_scene(file, scene, sorted(classes), find_imported_scenes(module))
    return classes[scene]  # type: ignore[no-any-return]


def load_module(file: Path) -> ModuleType:
    """Run a file as `manim render` does, and return its module.

    Manim makes the module's name from the absolute path, so that a relative import in the file fails. A file that has
    one gets the name that Python itself would give to it in the current folder.
    """
    from manim.utils.module_ops import get_module

    folder, file = Path.cwd().resolve(), file.absolute()
    if file.is_relative_to(folder) and _has_relative_import(file):
        sys.path.insert(0, str(folder))  # where the packages above the file are
        file = file.relative_to(folder)
    return get_module(file)  # type: ignore[no-any-return]


def _has_relative_import(file: Path) -> bool:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # running the file says it better
        return False
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


def find_imported_scenes(module: ModuleType) -> dict[str, str]:
    """Return the scenes of the project that the module only imports, with the file of each, relative to this folder.

    Manim does not list them: it lists classes that are defined in the module.
    """
    from manim.scene.scene import Scene as SceneClass
    from manim.utils.module_ops import get_scene_classes_from_module

    listed = get_scene_classes_from_module(module)
    here, files = Path.cwd(), {}
    for item in vars(module).values():
        if inspect.isclass(item) and issubclass(item, SceneClass) and item not in listed:
            file = Path(getattr(sys.modules.get(item.__module__), "__file__", None) or "/")
            if file.is_relative_to(here):
                files[item.__name__] = str(file.relative_to(here))
    return files


def _unknown_scene(file: Path, scene: str, names: list[str], imported: dict[str, str]) -> SpecError:
    if scene in imported:
        return SpecError(
            f"{file.name} has no scene of its own called {scene}: it imports it from {imported[scene]}",
            hint=f"Manim renders a scene from the file that defines it: {imported[scene]}",
        )
    if near := difflib.get_close_matches(scene, names, 3):
        hint = f"did you mean {' or '.join(near)}?"
    else:
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        hint = f"scenes in it: {', '.join(names[:MAX_NAMED]) or 'none'}{more}"
    return SpecError(f"{file.name} has no scene {scene!r}", hint=hint)
