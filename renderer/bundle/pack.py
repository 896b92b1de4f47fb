"""Packs a folder: chooses the files that the bundle includes."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends import Bundle
from backends.errors import SpecError
from renderer.bundle import archive
from renderer.bundle.archive import Entry
from renderer.bundle.credentials import MAX_SCANNED, holds_credential, looks_like_credential
from renderer.bundle.ignore import IgnoreRules

LARGEST_SHOWN = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A bundle, the ``files`` in it, and the files that were left out: ``credentials`` and ``ignored`` ones.

    All are paths relative to the root, with slashes; ``ignored`` contains folders as well. ``size`` is the sum of the
    included files, in bytes. ``is_whole`` is false if only single files of the folder were packed.
    """

    bundle: Bundle
    files: tuple[str, ...]
    credentials: tuple[str, ...]
    ignored: tuple[str, ...]
    size: int
    is_whole: bool = True


def pack(root: Path, *, main: Path, limit: int, only: Collection[Path] | None = None) -> Packed:
    """Pack the folder ``root``, or ``only`` these files in it.

    ``main``, a file in the folder, is always included, even if an ignore file names it; if it is a link, so is the file
    that it leads to. Raises SpecError for a link that leaves the root, for a file that cannot be read, and for files of
    more than ``limit`` bytes in all.
    """
    root = root.resolve()
    walk = _Walk(root)
    found = walk.entries() if only is None else walk.entries_of(only)
    entries = {entry.name: entry for entry in found}
    needed = {path.relative_to(root).as_posix() for path in (main.parent.resolve() / main.name, main.resolve())}
    for name in needed - set(entries):
        entries[name] = Entry(name, root, (root / name).lstat())
    size = _checked_size(list(entries.values()), limit)
    bundle = archive.make_bundle(entries.values())
    _log.debug("the bundle %s of %s holds %d files, %d bytes", bundle.digest, root, len(entries), size)
    return Packed(
        bundle=bundle,
        files=tuple(sorted(entries)),
        credentials=tuple(sorted(set(walk.credentials) - needed)),
        ignored=tuple(sorted(walk.ignored)),
        size=size,
        is_whole=only is None,
    )


class _Walk:
    """Finds the files that the bundle includes, and remembers which it left out and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.credentials: list[str] = []
        self.ignored: list[str] = []

    def entries_of(self, files: Collection[Path]) -> Iterator[Entry]:
        """Yield these files, also those that an ignore file names."""
        for path in files:
            name = path.relative_to(self.root).as_posix()
            yield from self._file(name, path, path.lstat(), named=False)

    def entries(self) -> Iterator[Entry]:
        """Yield the files of the root and of all folders below it."""
        left = [(self.root, IgnoreRules(self.root))]
        while left:
            folder, above = left.pop()
            rules = above.enter(folder)
            for item in _scan(folder):
                path = Path(item.path)
                name = path.relative_to(self.root).as_posix()
                is_folder = item.is_dir(follow_symlinks=False)
                if rules.ignores(path, is_folder=is_folder):
                    self.ignored.append(name)
                    _log.debug("left out %s: it is ignored", name)
                elif is_folder:
                    left.append((path, rules))
                else:
                    yield from self._file(name, path, item.stat(follow_symlinks=False), named=rules.names(path))

    def _file(self, name: str, path: Path, info: os.stat_result, *, named: bool) -> Iterator[Entry]:
        """Yield the file if it is included. ``named``: include it even if it looks like a credential."""
        if not stat.S_ISLNK(info.st_mode) and not stat.S_ISREG(info.st_mode):
            self.ignored.append(name)
            _log.debug("left out %s: a socket, pipe or device has no content to upload", name)
            return
        entry = Entry(name, self.root, info)
        if not named and (looks_like_credential(Path(name)) or _holds_credential(entry)):
            self.credentials.append(name)
            _log.debug("left out %s: it looks like a credential", name)
            return
        if stat.S_ISLNK(info.st_mode):
            self._check_link(name, path)
        _log.debug("included %s", name)
        yield entry

    def _check_link(self, name: str, path: Path) -> None:
        target = path.readlink()
        try:
            leaves = target.is_absolute() or not path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError) as error:  # what Python raises for a loop changed with 3.13
            raise SpecError(
                f"the link {name} leads to itself", hint="remove it, or exclude it in .rendererignore"
            ) from error
        if leaves:
            raise SpecError(
                f"the link {name} points out of the folder, to {target}",
                hint="use a relative link or a copy, choose a higher folder (--root), or exclude it in .rendererignore",
            )


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError as error:
        raise SpecError(
            f"cannot read {folder}: {error.strerror}", hint="fix its permissions, or exclude it in .rendererignore"
        ) from error


def _holds_credential(entry: Entry) -> bool:
    is_small_file = stat.S_ISREG(entry.info.st_mode) and entry.info.st_size <= MAX_SCANNED
    return is_small_file and holds_credential(entry.read())


def _checked_size(entries: list[Entry], limit: int) -> int:
    size = sum(entry.info.st_size for entry in entries)
    if size > limit:
        largest = sorted(entries, key=lambda entry: -entry.info.st_size)[:LARGEST_SHOWN]
        listed = ", ".join(f"{entry.name} ({_mib(entry.info.st_size)})" for entry in largest)
        raise SpecError(
            f"the folder holds {_mib(size)}, more than the limit of {_mib(limit)}; the largest files: {listed}",
            hint="exclude what the job does not need in .rendererignore, or raise --bundle-limit-mib",
        )
    return size


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
