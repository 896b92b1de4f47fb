"""Finds the scenes of a Python file by parsing it; the file is never imported or run."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backends.errors import OutputError, SpecError
from backends.untrusted.files import open_regular

# Base classes of packages built on Manim (manim_slides.Slide, manim_voiceover.VoiceoverScene …) are known by name.
SCENE_ENDINGS = ("Scene", "Slide")
MAX_DEPTH = 10  # how far imports are followed from file to file
MAX_SOURCE = 4 * 2**20  # bytes of a Python file
MAX_MODULES = 2000  # files that are read
MAX_SHOWN = 200  # characters of a line with a syntax error


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A class that Manim would offer to render, with its line number and the first line of its docstring."""

    name: str
    line: int
    doc: str | None


@dataclass
class _Module:
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    # local name: module and name there; the name is None for a module itself
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)


def find_scenes(path: Path, root: Path | None = None) -> list[Scene]:
    """Return the scenes that the file defines, in its order. Only files in ``root`` are read, by default its folder.

    Raises SpecError for a file that is not valid Python.
    """
    tree = parse(path, root)
    finder = _Finder(root or path.parent)
    try:
        module = _read(tree)
        return [
            Scene(name=name, line=node.lineno, doc=(ast.get_docstring(node) or "").partition("\n")[0] or None)
            for name, node in module.classes.items()
            if finder.is_scene(module, name, path.parent, MAX_DEPTH)
        ]
    except RecursionError as error:
        raise SpecError(f"{path.name} is nested too deeply to be read") from error


def find_imported_files(path: Path) -> set[Path]:
    """Return the file and all modules of its folder that it imports, directly or indirectly. Only regular files."""
    folder = path.parent.resolve()
    found: set[Path] = set()
    left = [path.resolve()]
    while left and len(found) < MAX_MODULES:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _imported_by(parse(file), folder)
    return found


def _imported_by(tree: ast.Module, folder: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            names = [source, *(f"{source}.{name}".lstrip(".") for name in names)]
        for name in names:
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                stem = folder.joinpath(*parts[:count])
                candidates = (stem.with_suffix(".py"), stem / "__init__.py")
                yield from (candidate for candidate in candidates if is_within(candidate, folder))


def choose_scenes(path: Path, found: list[Scene], wanted: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    """Return the scenes to render: the ``wanted`` ones, or ``every`` one, or the only one.

    Raises SpecError for an unknown scene, or if the file has several scenes and ``wanted`` is empty.
    """
    names = [scene.name for scene in found]
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, 3, 0.4) or names
            raise SpecError(
                f"{path.name} has no scene {name!r}",
                hint=f"did you mean {' or '.join(near)}?" if near else "it has none; a script's arguments go after --",
            )
    if wanted and not every:
        return tuple(dict.fromkeys(wanted))
    if not names:
        raise SpecError(
            f"{path.name} has no scene",
            hint="a scene is a class derived from Scene; for a plain script use --kind script",
        )
    if len(names) > 1 and not every:
        raise SpecError(
            f"{path.name} has {len(names)} scenes: {', '.join(names)}", hint="name the ones to render, or pass --all"
        )
    return tuple(names)


def parse(path: Path, root: Path | None = None) -> ast.Module:
    """Parse a Python file in ``root``, by default its folder. Raises SpecError that shows the line of an error."""
    source = _read_source(path, root or path.parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes: Python reports them when the job runs
            return ast.parse(source, filename=path.name)
    except SyntaxError as error:
        if not error.lineno:  # null bytes, or an unknown encoding
            raise SpecError(f"{path.name} is not Python source: {error.msg}") from error
        column = max((error.offset or 1) - 1, 0)
        start = max(column - MAX_SHOWN // 2, 0)
        line = (error.text or "").rstrip("\n")[start : start + MAX_SHOWN]
        caret = " " * (column - start) + "^"
        raise SpecError(f"{path.name}, line {error.lineno}: {error.msg}\n  {line}\n  {caret}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SpecError(f"{path.name} is not Python source: {error}") from error


def _read_source(path: Path, root: Path) -> bytes:
    """Return the content of a regular file in ``root``. The path may be a link to a file in ``root``."""
    try:
        real, top = path.resolve(strict=True), root.resolve(strict=True)
        if not real.is_relative_to(top):
            raise SpecError(f"{path} is a link that leaves its folder", hint="name the file itself")
        with open_regular(top, PurePosixPath(real.relative_to(top))) as file:
            source = file.read(MAX_SOURCE + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise SpecError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    except OutputError as error:
        raise SpecError(f"{path} is not a regular file") from error
    if len(source) > MAX_SOURCE:
        raise SpecError(f"{path.name} is larger than {MAX_SOURCE // 2**20} MiB: no Python source is")
    return source


def is_within(path: Path, root: Path) -> bool:
    """Return whether the path is a regular file in ``root``, or a link to one in it."""
    try:
        return path.is_file() and path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


class _Finder:
    """Finds out whether a class is a scene: follows its base classes, also into files that the file imports."""

    def __init__(self, root: Path) -> None:
        self._modules: dict[Path, _Module | None] = {}
        self._known: dict[tuple[int, str], bool] = {}
        self._root = root

    def is_scene(self, module: _Module, name: str, folder: Path, depth: int) -> bool:
        """Return whether the dotted ``name``, used in ``module``, is a scene class."""
        if depth == 0:
            return False
        key = id(module), name
        if key not in self._known:  # counts as no scene during the search, so that circular imports end
            self._known[key] = False
            self._known[key] = self._find_scene(module, name, folder, depth)
        return self._known[key]

    def _find_scene(self, module: _Module, name: str, folder: Path, depth: int) -> bool:
        head, _, rest = name.partition(".")
        if not rest and head in module.classes:
            bases = [_dotted(base) for base in module.classes[head].bases]
            return any(base and base != name and self.is_scene(module, base, folder, depth - 1) for base in bases)
        if head in module.imports:
            source, original = module.imports[head]
            return self._is_scene_of(source, ".".join(filter(None, [original, rest])), folder, depth)
        return any(self._is_scene_of(source, name, folder, depth) for source in module.stars)

    def _is_scene_of(self, source: str, name: str, folder: Path, depth: int) -> bool:
        local = self._local(source, folder)
        if local is None and "." in name:  # `import package.module` and then package.module.Base
            inner, _, name = name.rpartition(".")
            local = self._local(f"{source}.{inner}", folder)
        if local is None:
            return name.endswith(SCENE_ENDINGS)
        return self.is_scene(local, name, folder, depth - 1)

    def _local(self, source: str, folder: Path) -> _Module | None:
        stem = folder.joinpath(*source.lstrip(".").split("."))
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if candidate not in self._modules:
                is_read = len(self._modules) < MAX_MODULES and is_within(candidate, self._root)
                self._modules[candidate] = _read(parse(candidate, self._root)) if is_read else None
            if found := self._modules[candidate]:
                return found
        return None


def _read(tree: ast.Module) -> _Module:
    module = _Module()
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                module.imports[alias.asname or name] = (name, None)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.imports[alias.asname or alias.name] = (source, alias.name)
    return module


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, including those inside ``if``, ``try`` and ``with``."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _statements(getattr(node, inner, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return f"{owner}.{node.attr}"
    if isinstance(node, ast.Subscript):  # Base[Parameter]
        return _dotted(node.value)
    return None
