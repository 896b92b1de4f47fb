"""Decides which files a bundle does not include: those that an ignore file names, and caches of tools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.untrusted.files import open_regular
from renderer.bundle.manim_files import is_made_by_manim
from renderer.bundle.patterns import Budget, Pattern, Patterns

OWN_IGNORE_FILE = ".rendererignore"
IGNORE_FILES = (".gitignore", OWN_IGNORE_FILE)  # the later one wins, in whichever folder it is
STAGING = ".renderer-"  # prefix of the folders that downloads are verified in
MADE_BY_MANIM = "Manim has made it"
_LEFTOVERS = frozenset({".git", ".hg", ".svn", ".DS_Store"})
_LEFTOVER_FOLDERS = frozenset({
    "__pycache__", ".venv", "venv", "node_modules", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache",
})  # fmt: skip


@dataclass(frozen=True)
class _Level:
    """The rules of one ignore file. ``above`` is the path from its folder to the root, for a folder above the root.

    ``below`` is the path from the root to its folder, for one below it.
    """

    file: str
    above: str
    below: str
    patterns: Patterns

    def find(self, name: str, *, is_folder: bool) -> Pattern | None:
        """Return the line that decides about a path, which is relative to the root."""
        return self.patterns.find(self.above + name[len(self.below) :], is_folder=is_folder)

    @property
    def path(self) -> str:
        """The path of the ignore file, relative to the root."""
        return "../" * self.above.count("/") + self.below + self.file


@dataclass(frozen=True)
class Reason:
    """Why a file is left out. A line in a .rendererignore in ``folder`` can include it; None: nothing can."""

    text: str
    folder: str | None = None


@dataclass(frozen=True)
class IgnoreRules:
    """The ignore files that apply in a folder: its own and those above it, up to the top of the git checkout.

    Paths are relative to the root, with slashes.
    """

    root: Path
    levels: tuple[_Level, ...] = ()
    budget: Budget = field(default_factory=Budget)

    def enter(self, folder: str, names: frozenset[str]) -> IgnoreRules:
        """Return the rules inside a folder directly in this one; "" is the root. ``names`` are those in the folder."""
        if not folder:
            found = [level for inner in _down_from_checkout(self.root) for level in self._read_all(inner)]
        elif names.isdisjoint(IGNORE_FILES):
            return self
        else:
            found = self._read_all(self.root / folder)
        ordered = sorted([*self.levels, *found], key=lambda level: IGNORE_FILES.index(level.file))
        return replace(self, levels=tuple(ordered))

    def find_reason(self, name: str, beside: frozenset[str], *, is_folder: bool) -> Reason | None:
        """Return why the path is left out, None if it is not. ``beside`` are the names in the same folder.

        The last match in the deepest ignore file decides, as in git.
        """
        if reason := self._find_leftover(name, beside, is_folder=is_folder):
            return reason
        for level in reversed(self.levels):
            if found := level.find(name, is_folder=is_folder):
                text = f"{level.path} line {found.number} {found.line!r}"
                return None if found.includes else Reason(text, level.below if level.file == OWN_IGNORE_FILE else "")
        return None

    def names(self, name: str) -> bool:
        """Return whether a .rendererignore includes exactly this file, by ``!`` and its name without wildcards."""
        own = (level.find(name, is_folder=False) for level in reversed(self.levels) if level.file == OWN_IGNORE_FILE)
        found = next(filter(None, own), None)
        return found is not None and found.includes and found.is_plain and not found.folders_only

    def _find_leftover(self, name: str, beside: frozenset[str], *, is_folder: bool) -> Reason | None:
        last = name.rpartition("/")[2]
        if is_made_by_manim(name, beside, is_folder=is_folder):
            return Reason(MADE_BY_MANIM)
        if last in _LEFTOVERS or last.endswith(".pyc") or last.startswith(STAGING):
            return Reason(f"{last} is never uploaded")
        is_cache = is_folder and (last in _LEFTOVER_FOLDERS or (self.root / name / "pyvenv.cfg").is_file())
        return Reason(f"the folder {last} is never uploaded") if is_cache else None

    def _read_all(self, folder: Path) -> list[_Level]:
        return [level for name in IGNORE_FILES if (level := self._read(folder, name))]

    def _read(self, folder: Path, name: str) -> _Level | None:
        """Return the rules of an ignore file; None if it does not exist or, as in git, if it is a link."""
        try:
            with open_regular(folder, PurePosixPath(name)) as file:
                content = file.read(self.budget.bytes_left + 1)
        except (OSError, OutputError):
            return None
        self.budget.add_bytes(len(content))
        text = content.decode("utf-8-sig", "surrogateescape")
        above = _with_slash(self.root.relative_to(folder)) if self.root.is_relative_to(folder) else ""
        below = _with_slash(folder.relative_to(self.root)) if folder.is_relative_to(self.root) else ""
        return _Level(name, above, below, Patterns(text.split("\n"), self.budget))


def _with_slash(path: Path) -> str:
    return f"{path.as_posix()}/" if path.parts else ""


def _down_from_checkout(root: Path) -> list[Path]:
    """Return the folders from the top of the git checkout down to ``root``; only ``root`` outside a checkout."""
    for parent in (root, *root.parents):
        if (parent / ".git").exists():
            between = [folder for folder in root.parents if folder.is_relative_to(parent)]
            return [*reversed(between), root]
    return [root]
