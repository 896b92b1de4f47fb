"""Decides whether a file is a Manim job or a script, and which units the job has."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Literal

from backends.errors import SpecError
from renderer import scenes as scene_files
from renderer.model import Kind

KindChoice = Literal["auto", "manim", "script"]  # auto: a file with scenes is a Manim job, any other a script


def choose_units(
    path: Path, root: Path, *, kind: KindChoice, scenes: tuple[str, ...], every: bool, arguments: tuple[str, ...]
) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind of the job and the names of its units: its scenes, or the script's name. Raises SpecError."""
    tree = scene_files.parse(path, root)
    if kind == "script":
        return _script(path, scenes, every=every)
    found = scene_files.find_scenes(path, root)
    if kind == "auto" and not found and not scenes and not every and not _is_bare_manim(tree):
        return _script(path, scenes, every=every)
    if arguments:
        raise SpecError("a Manim job takes no arguments after --", hint="for a script use --kind script")
    if kind == "manim" and scenes:
        return "manim", scenes  # not checked: the file may create its classes when it runs
    return "manim", scene_files.choose_scenes(path, found, scenes, every=every)


def _script(path: Path, scenes: tuple[str, ...], *, every: bool) -> tuple[Kind, tuple[str, ...]]:
    if scenes or every:
        raise SpecError(f"{path.name} runs as a script, which has no scenes", hint="arguments go after --")
    return "script", (path.name,)


def _is_bare_manim(tree: ast.Module) -> bool:
    """Return whether the file imports Manim but would do nothing as a script: probably its scene is missing."""
    modules = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    acts = any(isinstance(node, (ast.Expr, ast.If, ast.For, ast.While, ast.With, ast.Try)) for node in tree.body[1:])
    return "manim" in {name.partition(".")[0] for name in modules} and not acts
