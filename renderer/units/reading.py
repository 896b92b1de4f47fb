"""Reads what a file does with Manim: whether it uses it, renders by itself, or may make scenes as it runs."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import backends
from backends.errors import SpecError
from renderer import scenes as scene_files

# Calls that can make classes, or put them into a module, without a class statement in the module itself.
_MAKERS = frozenset({"globals", "vars", "locals", "exec", "eval", "new_class", "_getframe", "currentframe"})
_RENAMED = frozenset({"__name__", "__qualname__", "__module__"})
_HARMLESS_DECORATORS = frozenset({"dataclass", "final", "cache", "lru_cache", "wraps", "contextmanager", "njit", "jit"})
_OUR_PACKAGES = frozenset({"backends", "renderer"})
_MANIM_GL = frozenset({"manimlib", "manimgl"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading a file says about Manim.

    ``makes_scenes``: it may have other scenes than those that can be read. ``renders_itself``: as a plain program it
    does something, such as calling ``render()``. ``other_manim`` is the name of ManimGL's package, if it uses that.
    ``own_module`` is a module of the project that is imported, and has the name of a package of this program.
    """

    uses_manim: bool
    makes_scenes: bool
    renders_itself: bool
    other_manim: str | None
    own_module: Path | None


def read_use_of_manim(path: Path, root: Path) -> Reading:
    """Read the file and the modules of its own that it imports."""
    tree = scene_files.parse(path, root)
    modules = [tree, *_parse_own_modules(path, root)]
    imported = {name for module in modules for name in _imported_packages(module)}
    uses_manim = any(name == "manim" or name.startswith("manim_") for name in imported) or _has_construct(tree)
    return Reading(
        uses_manim=uses_manim,
        makes_scenes=_may_make_scenes(tree) or any(map(_has_makers, modules)),
        renders_itself=_renders_itself(tree),
        other_manim=None if "manim" in imported else min(imported & _MANIM_GL, default=None),
        own_module=next(_find_own_modules(imported & _OUR_PACKAGES, (path.parent, root)), None),
    )


def _find_own_modules(names: Collection[str], places: Collection[Path]) -> Iterator[Path]:
    """Yield the files of modules with these names, but not those of this program itself."""
    ours = {Path(backends.__file__ or "").resolve(), (Path(scene_files.__file__).parent / "__init__.py").resolve()}
    for name in sorted(names):
        for place in places:
            for file in (place / f"{name}.py", place / name / "__init__.py"):
                if file.is_file() and file.resolve() not in ours:
                    yield file


def may_define(path: Path, root: Path, names: Collection[str]) -> bool:
    """Return whether the file may define a class of these names whose base is made or found as it runs."""
    for node in ast.walk(scene_files.parse(path, root)):
        if isinstance(node, ast.ClassDef) and node.bases and node.name in names:
            return True
        if isinstance(node, ast.Call) and _last_name(node.func) == "exec":
            return True
    return False


def _parse_own_modules(path: Path, root: Path) -> Iterator[ast.Module]:
    with suppress(SpecError):  # one of them is not valid Python: the job says so, if it imports that one
        for file in sorted(scene_files.find_imported_files(path, root)):
            if file != path.resolve():
                yield scene_files.parse(file, root)


def _imported_packages(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the packages that the module imports when it is imported."""
    for node in scene_files.statements(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def _has_construct(tree: ast.Module) -> bool:
    """Return whether a class has the method that Manim calls: its base may come from an installed package."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases)
    return any(isinstance(item, ast.FunctionDef) and item.name == "construct" for node in classes for item in node.body)


def _renders_itself(tree: ast.Module) -> bool:
    tests = [node.test for node in tree.body if isinstance(node, ast.If)]
    if any(isinstance(part, ast.Name) and part.id == "__name__" for test in tests for part in ast.walk(test)):
        return True
    outside = [node for node in tree.body if not isinstance(node, ast.ClassDef)]
    calls = (part for node in outside for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(_last_name(call.func) == "render" for call in calls)


def _has_makers(tree: ast.Module) -> bool:
    """Return whether the module has code that can make classes: in functions, by ``type()``, or by their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _last_name(node.func)
            if name in _MAKERS or (name == "type" and len(node.args) > 1):
                return True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(isinstance(part, ast.ClassDef) for part in ast.walk(node)):
                return True
        elif isinstance(node, ast.Attribute):
            is_renamed = node.attr in _RENAMED and isinstance(node.ctx, ast.Store)
            if is_renamed or (node.attr == "modules" and _last_name(node.value) == "sys"):
                return True
    return False


def _may_make_scenes(tree: ast.Module) -> bool:
    """Return whether the module's own statements may bind a scene that no class statement there defines."""
    assigned = {name for node in scene_files.statements(tree.body) for name, _ in _assignments(node)}
    return any(_is_sign(node, assigned) for node in scene_files.statements(tree.body))


def _is_sign(node: ast.stmt, assigned: set[str]) -> bool:
    if isinstance(node, ast.ClassDef):
        bases = [scene_files.dotted(base) for base in node.bases]
        is_chosen = any(base is None or base.partition(".")[0] in assigned for base in bases)
        return is_chosen or bool(node.keywords) or _has_decorator(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _has_decorator(node)
    if isinstance(node, ast.If):
        return any(isinstance(inner, ast.ClassDef) for inner in [*node.body, *node.orelse])
    if isinstance(node, ast.Match | ast.Delete):
        return True
    names = [name for name, value in _assignments(node) if not isinstance(value, ast.Constant | ast.Name)]
    return any(name[:1].isupper() and (len(name) == 1 or not name.isupper()) for name in names)


def _has_decorator(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(_last_name(item) not in _HARMLESS_DECORATORS for item in node.decorator_list)


def _assignments(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names that a statement assigns, with the value if it is a plain assignment."""
    targets: list[ast.expr] = []
    value: ast.expr | None = None
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign):
        targets, value = [node.target], node.value
    elif isinstance(node, ast.For):
        targets = [node.target]
    elif isinstance(node, ast.With):
        targets = [item.optional_vars for item in node.items if item.optional_vars]
    for part in (part for target in targets for part in ast.walk(target)):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id, value


def _last_name(node: ast.expr) -> str:
    """Return the last name of what is called: ``render`` of ``scene.render`` and of ``scene.render()``."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
