"""Finds the files of the modules that a file imports, as Python would find them, without importing anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from backends.errors import SpecError
from renderer.project.path_expressions import PathChanges

MAX_FOLDERS = 64  # that a project adds to sys.path
MAX_PLACES = 50_000  # where modules are looked for: a few seconds
MAX_PARTS = 40  # of a dotted name: no project has packages as deep


@dataclass(frozen=True)
class Module:
    """A module of the project. A namespace package has no ``file``; the submodules of a package are in ``folders``."""

    file: Path | None
    folders: tuple[Path, ...] = ()


class ModuleFinder:
    """Finds modules of the project below ``root`` for a scene file or script, and remembers what it has found.

    Python looks in the folder of the file that runs, in those of PYTHONPATH (``python_path``), in its own ones, and
    then in those that were added to sys.path; a job adds its root last. ``read_changes`` is called once, when a module
    was found nowhere: it returns what the modules that the file imports add to sys.path.

    ``outside`` has the modules that were looked for and lie outside of the root, by name, and where they are.
    """

    def __init__(
        self,
        file: Path,
        root: Path,
        python_path: Sequence[Path] = (),
        read_changes: Callable[[], Iterable[PathChanges]] | None = None,
    ) -> None:
        self.root = root.resolve()
        self.outside: dict[str, Path] = {}
        self._first = [file.parent.resolve(), *python_path]
        self._last = [self.root]
        self._outside_folders: list[Path] = []
        self._read_changes = read_changes
        self._files: dict[Path, bool] = {}
        self._inside: dict[Path, bool] = {}
        self._found: dict[str, Module | None] = {}
        self._found_relative: dict[tuple[Path, str], Module | None] = {}
        self._found_in: dict[tuple[tuple[Path, ...], str], Module | None] = {}
        self._places_left = MAX_PLACES

    def find(self, name: str, importer: Path, level: int = 0) -> Module | None:
        """Return a module of the project; None for a module from somewhere else.

        ``name`` is as in the import statement of the file ``importer``, ``level`` the number of dots before it. Raises
        SpecError for a project that imports too many modules.
        """
        if name.count(".") >= MAX_PARTS:
            return None
        if level:
            key = importer.parents[min(level, len(importer.parents)) - 1], name
            if key not in self._found_relative:
                self._found_relative[key] = self._find_relative(name, key[0])
            return self._found_relative[key]
        if name not in self._found:
            self._found[name] = self._find_absolute(name)
            if not self._found[name] and self._read_changes and not _is_installed(name):
                read, self._read_changes = self._read_changes, None  # first: reading needs this finder
                self.add_changes(read())
                self._found[name] = self._find_absolute(name)
        return self._found[name]

    def add_changes(self, changes: Iterable[PathChanges]) -> None:
        """Look in the folders as well that files add to sys.path."""
        found = [change for change in changes if change.first or change.last]
        first, last = ([folder for change in found for folder in getattr(change, name)] for name in ("first", "last"))
        self._first = [*first, *self._first][:MAX_FOLDERS]
        self._last = [*last, *self._last][:MAX_FOLDERS]
        self._outside_folders += [folder for folder in (*first, *last) if not self._is_inside(folder)][:MAX_FOLDERS]
        self._found = {name: module for name, module in self._found.items() if module}

    def find_inside(self, module: Module, name: str) -> Module | None:
        """Return the submodule ``name`` of a package; None if there is none."""
        return self._look_in(module.folders, name)

    def _find_relative(self, name: str, folder: Path) -> Module | None:
        names = name.split(".") if name else []
        if not self._is_inside(folder):
            self._note_outside(names[0] if names else "", [folder])
            return None
        own = folder / "__init__.py"
        return self._descend(Module(own if self._is_file(own) else None, (folder,)), names)

    def _find_absolute(self, name: str) -> Module | None:
        top, *rest = name.split(".")
        is_pythons = top in sys.stdlib_module_names
        package = self._look_in(tuple(self._first if is_pythons else [*self._first, *self._last]), top)
        if package is None and not is_pythons:
            self._note_outside(top, self._outside_folders)
        return self._descend(package, rest) if package else None

    def _note_outside(self, name: str, folders: list[Path]) -> None:
        places = (folder / end for folder in folders for end in (name, f"{name}.py"))
        if name and (place := next(filter(_exists, places), None)):
            self.outside[name] = place

    def _descend(self, module: Module, names: list[str]) -> Module | None:
        found: Module | None = module
        for name in names:
            found = self._look_in(found.folders, name) if found else None
        return found

    def _look_in(self, folders: tuple[Path, ...], name: str) -> Module | None:
        """Return the module: of the first folder that has it, else a namespace package of all folders of that name."""
        key = folders, name
        if key not in self._found_in:
            self._places_left -= len(folders)
            if self._places_left < 0:
                raise SpecError(
                    "the project imports too many modules to look for all of them",
                    hint="remove imports, or choose a smaller folder with --root",
                )
            self._found_in[key] = self._search(folders, name)
        return self._found_in[key]

    def _search(self, folders: tuple[Path, ...], name: str) -> Module | None:
        parts = []
        for folder in folders:
            stem = folder / name
            for file in (stem / "__init__.py", folder / f"{name}.py"):
                if self._is_file(file):
                    return Module(file, (stem,) if file.parent == stem else ())
            if self._is_folder(stem):
                parts.append(stem)
        return Module(None, tuple(parts)) if parts else None

    def _is_file(self, path: Path) -> bool:
        if path not in self._files:
            self._files[path] = is_within(path, self.root)
        return self._files[path]

    def _is_folder(self, path: Path) -> bool:
        return self._is_inside(path) and path.is_dir()

    def _is_inside(self, path: Path) -> bool:
        if path not in self._inside:
            try:
                self._inside[path] = path.resolve().is_relative_to(self.root)
            except (OSError, RuntimeError, ValueError):
                self._inside[path] = False
        return self._inside[path]


def is_within(path: Path, root: Path) -> bool:
    """Return whether the path is a regular file in ``root``, or a link to one in it."""
    try:
        return path.is_file() and path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_installed(name: str) -> bool:
    """Return whether a module comes with Python or with a package that is installed here."""
    top = name.partition(".")[0]
    try:
        return top in sys.stdlib_module_names or PathFinder.find_spec(top) is not None
    except (ImportError, ValueError, OSError):
        return False
