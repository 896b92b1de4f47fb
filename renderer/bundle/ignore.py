"""Decides which files a bundle does not include: those that an ignore file names, and caches of tools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.untrusted.files import open_regular
from renderer.bundle.patterns import Budget, Pattern, Patterns

OWN_IGNORE_FILE = ".rendererignore"
IGNORE_FILES = (".gitignore", OWN_IGNORE_FILE)  # the later one wins, in whichever folder it is
MAX_IGNORE_FILE = 2**20  # bytes
STAGING = ".renderer-"  # prefix of the folders that downloads are verified in
_LEFTOVERS = frozenset({".git", ".hg", ".svn", ".DS_Store"})
_LEFTOVER_FOLDERS = frozenset({
    "__pycache__", ".venv", "venv", "node_modules", "media", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache",
    ".ruff_cache",
})  # fmt: skip


@dataclass(frozen=True)
class _Level:
    folder: Path
    file: str
    patterns: Patterns

    def find(self, path: Path, *, is_folder: bool) -> Pattern | None:
        name = str(path)[len(str(self.folder)) :].lstrip("/")  # quicker than relative_to, for deep folders
        return self.patterns.find(name, is_folder=is_folder)


@dataclass(frozen=True)
class IgnoreRules:
    """The ignore files that apply in a folder: its own and those above it, up to the top of the git checkout."""

    root: Path
    levels: tuple[_Level, ...] = ()
    budget: Budget = field(default_factory=Budget)

    def enter(self, folder: Path) -> IgnoreRules:
        """Return the rules inside ``folder``, which is directly in this folder or is the root itself."""
        folders = _down_from_checkout(folder) if folder == self.root else [folder]
        found = [level for inner in folders for level in self._levels(inner)]
        ordered = sorted([*self.levels, *found], key=lambda level: IGNORE_FILES.index(level.file))
        return replace(self, levels=tuple(ordered))

    def ignores(self, path: Path, *, is_folder: bool) -> bool:
        """Return whether the path is left out. The last match in the deepest ignore file decides, as in git."""
        if _is_leftover(path, is_folder=is_folder):
            return True
        for level in reversed(self.levels):
            if found := level.find(path, is_folder=is_folder):
                return not found.includes
        return False

    def names(self, path: Path) -> bool:
        """Return whether a .rendererignore includes exactly this file, by ``!`` and its name without wildcards."""
        own = (level.find(path, is_folder=False) for level in reversed(self.levels) if level.file == OWN_IGNORE_FILE)
        found = next(filter(None, own), None)
        return found is not None and found.includes and found.is_plain and not found.folders_only

    def _levels(self, folder: Path) -> list[_Level]:
        return [level for name in IGNORE_FILES if (level := self._read(folder, name))]

    def _read(self, folder: Path, name: str) -> _Level | None:
        """Return the rules of an ignore file; None if it does not exist or, as in git, if it is a link."""
        try:
            with open_regular(folder, PurePosixPath(name)) as file:
                text = file.read(MAX_IGNORE_FILE).decode("utf-8-sig", "surrogateescape")
        except (OSError, OutputError):
            return None
        return _Level(folder, name, Patterns(text.split("\n"), self.budget))


def _down_from_checkout(root: Path) -> list[Path]:
    """Return the folders from the top of the git checkout down to ``root``; only ``root`` outside a checkout."""
    for parent in (root, *root.parents):
        if (parent / ".git").exists():
            between = [folder for folder in root.parents if folder.is_relative_to(parent)]
            return [*reversed(between), root]
    return [root]


def _is_leftover(path: Path, *, is_folder: bool) -> bool:
    if path.name in _LEFTOVERS or path.name.endswith(".pyc") or path.name.startswith(STAGING):
        return True
    return is_folder and (path.name in _LEFTOVER_FOLDERS or (path / "pyvenv.cfg").is_file())
