"""Finds the scenes of a Python file by parsing it; the file is never imported or run."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from backends.errors import OutputError, SpecError
from backends.untrusted.files import open_regular
from renderer.project.imports import MAX_PARTS, Module, ModuleFinder
from renderer.project.path_expressions import PathChanges, find_path_changes
from renderer.project.python_path import read_python_path
from renderer.project.root import locate

# Base classes of packages built on Manim (manim_slides.Slide, manim_voiceover.VoiceoverScene …) are known by name.
SCENE_ENDINGS = ("Scene", "Slide")
MAX_STEPS = 200_000  # classes and imports that are looked at
MAX_SOURCE = 4 * 2**20  # bytes of a Python file
MAX_SOURCES = 4 * 2**20  # bytes of all modules that are read, about 100,000 lines
MAX_MODULES = 2000  # files that are read
MAX_NAMED = 10  # scenes in a message
MAX_SHOWN = 200  # characters of a line with a syntax error


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A class that Manim would offer to render, with the first line of its docstring.

    ``line`` is the number of its class statement; None if the file makes the class in another way.
    """

    name: str
    line: int | None
    doc: str | None


@dataclass(frozen=True)
class _Import:
    """``from SOURCE import NAME``, with ``level`` dots before the source; the name is None for the module itself."""

    source: str
    name: str | None = None
    level: int = 0


@dataclass
class _Module:
    """What a file defines and imports, by the names that it uses for it."""

    file: Path
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, _Import] = field(default_factory=dict)
    stars: list[_Import] = field(default_factory=list)


def find_scenes(path: Path, root: Path | None = None) -> list[Scene]:
    """Return the scenes that the file defines, in its order.

    Only files in ``root`` are read, by default the file's folder. Raises SpecError for a file that is not valid Python.
    """
    reader = _Reader(path, root or path.parent)
    try:
        module = reader.main
        finder = _Finder(reader)
        return [
            Scene(name=name, line=node.lineno, doc=(ast.get_docstring(node) or "").partition("\n")[0] or None)
            for name, node in module.classes.items()
            if finder.is_scene(module, name)
        ]
    except RecursionError as error:
        raise SpecError(f"{path.name} is nested too deeply to be read") from error


def find_imported_scenes(path: Path, root: Path) -> dict[str, Path]:
    """Return the scenes that the file imports from other files of ``root``, each with the file that defines it."""
    reader = _Reader(path, root)
    finder, main = _Finder(reader), reader.main
    for name in (*main.imports, "Scene"):  # any name makes it read the modules of `from module import *`
        finder.is_scene(main, name)
    originals = {wanted.name for wanted in main.imports.values()}
    return {
        name: module.file
        for module in reader.modules
        for name in module.classes
        if module is not main and (name in originals or main.stars) and finder.is_scene(module, name)
    }


def find_imported_files(path: Path, root: Path | None = None) -> set[Path]:
    """Return the file and all modules that it imports, directly or indirectly. Only regular files.

    They are looked for in ``root``, by default the file's folder.
    """
    reader = _Reader(path, root or path.parent)
    found = {path.resolve()}
    left = [reader.main]
    while left:
        for file in reader.find_imported_files(left.pop()):
            if file not in found and len(found) < MAX_MODULES:
                found.add(file)
                left += filter(None, [reader.read(file)])
    return found


def find_modules_outside(path: Path, root: Path) -> dict[str, Path]:
    """Return the modules that a file imports from folders outside of the root, by name, and where they are.

    The file names such folders by adding them to sys.path, or by dots in an import. Modules of installed packages are
    not among them.
    """
    reader = _Reader(path, root)
    reader.find_imported_files(reader.main)
    return reader.finder.outside


def choose_scenes(path: Path, found: list[Scene], wanted: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    """Return the scenes to render: the ``wanted`` ones, or ``every`` one, or the only one.

    Raises SpecError for an unknown scene, or if the file has several scenes and ``wanted`` is empty.
    """
    names = [scene.name for scene in found]
    for name in wanted:
        if name not in names:
            raise SpecError(f"{path.name} has no scene {name!r}", hint=_suggest(name, names))
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


def _suggest(name: str, names: list[str]) -> str:
    """Return a hint for a scene that the file does not have: names like it, or those that there are."""
    if near := difflib.get_close_matches(name, names, 3):
        return f"did you mean {' or '.join(near)}?"
    if not names:
        return "it has none; a script's arguments go after --"
    more = f" and {len(names) - MAX_NAMED} more: `renderer scenes` shows them" if len(names) > MAX_NAMED else ""
    return f"its scenes are {', '.join(names[:MAX_NAMED])}{more}"


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


class _Reader:
    """Reads the file that runs and the modules that it imports, each once."""

    def __init__(self, path: Path, root: Path) -> None:
        self._root = root
        self._modules: dict[Path, _Module | None] = {}
        self._trees: dict[Path, ast.Module] = {}
        self._bytes_left = MAX_SOURCES
        path = locate(path)
        python_path = [root.resolve() / folder for folder in read_python_path(root).inside]
        self.finder = ModuleFinder(path, root, python_path, self._read_path_changes)
        self.main = self._read(path)
        self.finder.add_changes([self._find_path_changes(self.main)])

    @property
    def modules(self) -> list[_Module]:
        """The modules that were read until now."""
        return [module for module in self._modules.values() if module]

    def read(self, file: Path) -> _Module | None:
        """Return what a module of the project defines and imports; None if too much was read already."""
        if file not in self._modules:
            self._bytes_left -= file.stat().st_size
            is_read = self._bytes_left >= 0 and len(self._modules) < MAX_MODULES
            self._modules[file] = self._read(file) if is_read else None
        return self._modules[file]

    def find(self, wanted: _Import, importer: _Module) -> Module | None:
        """Return the module of the project that is imported from; None for one from somewhere else."""
        return self.finder.find(wanted.source, importer.file, wanted.level)

    def find_imported_files(self, importer: _Module) -> list[Path]:
        """Return the files of the modules that a module imports, also inside of functions, with those of packages."""
        found: dict[Path, None] = {}
        known: set[tuple[str, int]] = set()
        for node in ast.walk(self._trees[importer.file]):
            for name, level in _imported_names(node):
                for package in _with_packages(name, level):
                    if (package, level) in known:
                        break
                    known.add((package, level))
                    module = self.finder.find(package, importer.file, level)
                    if module and module.file:
                        found[module.file] = None
        return list(found)

    def _read(self, file: Path) -> _Module:
        tree = self._trees[file] = parse(file, self._root)
        self._modules[file] = _collect(tree, file)
        return self._modules[file] or _Module(file)

    def _read_path_changes(self) -> Iterator[PathChanges]:
        """Yield what the modules that the file imports directly add to sys.path."""
        for file in self.find_imported_files(self.main):
            with suppress(SpecError):  # it is not valid Python: a class that needs it says so
                if module := self.read(file):
                    yield self._find_path_changes(module)

    def _find_path_changes(self, module: _Module) -> PathChanges:
        return find_path_changes(statements(self._trees[module.file].body), module.file, self.finder.root)


class _Finder:
    """Finds out whether a class is a scene: follows its base classes, also into files that the file imports."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[Path, str], bool] = {}
        self._steps_left = MAX_STEPS

    def is_scene(self, module: _Module, name: str) -> bool:
        """Return whether the dotted ``name``, used in ``module``, is a scene class."""
        seen: set[tuple[Path, str]] = set()
        left = [(module, name)]
        while left and self._steps_left > 0:
            module, name = left.pop()
            key = module.file, name
            if key in seen:
                continue
            seen.add(key)
            found = self._known[key] if key in self._known else self._look_up(module, name)
            if found is True:
                return self._known.setdefault(key, True)
            left += reversed(found or [])
            self._steps_left -= 1 + len(found or []) + len(module.stars)
        self._known |= dict.fromkeys(seen, False)  # all that a name leads to was looked at
        return False

    def _look_up(self, module: _Module, name: str) -> Literal[True] | list[tuple[_Module, str]]:
        """Return True for a scene class, else the names on which it depends whether this is one."""
        head, _, rest = name.partition(".")
        if not rest and head in module.classes:
            bases = [dotted(base) for base in module.classes[head].bases]
            return [(module, base) for base in bases if base and base != name]
        if head in module.imports:
            wanted = module.imports[head]
            return self._follow(wanted, ".".join(filter(None, [wanted.name, rest])), module)
        found = []
        for star in module.stars:
            followed = self._follow(star, name, module)
            if followed is True:
                return True
            found += followed
        return found

    def _follow(self, wanted: _Import, name: str, importer: _Module) -> Literal[True] | list[tuple[_Module, str]]:
        """Return the same as ``_look_up`` for a name in an imported module, or in a submodule of it."""
        module = self._reader.find(wanted, importer)
        if module is None:
            return True if name.endswith(SCENE_ENDINGS) else []
        found = []
        while module:
            if module.file and (content := self._reader.read(module.file)):
                found.append((content, name))
            head, _, name = name.partition(".")
            module = self._reader.finder.find_inside(module, head) if name else None
        return found


def _collect(tree: ast.Module, file: Path) -> _Module:
    module = _Module(file)
    for node in statements(tree.body):
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                module.imports[alias.asname or name] = _Import(name)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            for alias in node.names:
                if alias.name == "*":
                    module.stars.append(_Import(source, level=node.level))
                else:
                    module.imports[alias.asname or alias.name] = _Import(source, alias.name, node.level)
    return module


def _imported_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the modules that an import statement may name, each with the number of dots before it."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, 0) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = node.module or ""
        yield source, node.level
        yield from ((f"{source}.{alias.name}".lstrip("."), node.level) for alias in node.names if alias.name != "*")


def _with_packages(name: str, level: int) -> Iterator[str]:
    """Yield the name of a module, and those of the packages that it is in, from the inside out."""
    parts = name.split(".")[: MAX_PARTS + 1] if name else []
    for count in range(len(parts), -bool(level), -1):
        yield ".".join(parts[:count])


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, including those inside ``if``, ``try``, ``match`` and ``with``."""
    waiting = body[::-1]  # no recursion: each ``elif`` is one level deeper
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        inner = [statement for name in ("body", "orelse", "finalbody") for statement in getattr(node, name, [])]
        for branch in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            inner += branch.body
        waiting += reversed(inner)


def dotted(node: ast.expr) -> str | None:
    """Return the name that an expression is, such as ``m.Scene``; None for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):  # a subscript is that of Base[Parameter]
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
