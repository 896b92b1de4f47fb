"""Packs a folder: chooses the files that the bundle includes."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backends import Bundle
from backends.errors import SpecError
from backends.untrusted.names import NAME_BYTES
from renderer.bundle import archive
from renderer.bundle.archive import Entry
from renderer.bundle.credentials import MAX_SCANNED, holds_credential, looks_like_credential
from renderer.bundle.ignore import MADE_BY_MANIM, OWN_IGNORE_FILE, IgnoreRules
from renderer.bundle.packed_data import Expanded
from renderer.voices import INDEX, merge_indexes

LARGEST_SHOWN = 5
MAX_FILES = 50_000  # in a bundle
ATTEMPTS = 3  # to pack a folder from which files are removed meanwhile
EXPANSION = 2  # how many times its limit may come out of the compressed files of a folder
CREDENTIAL = "it looks like a credential"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A bundle, the ``files`` in it, and the files that were left out: ``credentials`` and ``ignored`` ones.

    All are paths relative to the root, with slashes; ``ignored`` contains folders as well, each with the reason.
    ``links`` are the symbolic links that lead out of the root, with their absolute targets: no bundle includes them.
    ``size`` is the sum of the included files, in bytes. ``is_whole`` is false if only single files of the folder were
    packed.
    """

    bundle: Bundle
    files: tuple[str, ...]
    credentials: tuple[str, ...]
    ignored: Mapping[str, str]
    links: Mapping[str, str]
    size: int
    is_whole: bool = True


def pack(
    root: Path,
    *,
    main: Path,
    limit: int,
    only: Collection[Path] | None = None,
    named: Collection[Path] = (),
    voices: Mapping[str, bytes] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Packed:
    """Pack the folder ``root``, or ``only`` these files in it, and the ``extra`` files, which are on no disk.

    ``voices`` are files by name and content that are added, if the folder does not have them and the limit permits it.

    ``main``, a file in the folder, is always included, even if an ignore file names it. If it is a link, so is the file
    in the folder that it leads to, and a copy takes the place of an absolute link. The ``named`` files are included as
    well, unless they look like credentials. Raises SpecError for a file that cannot be read, and for more than
    MAX_FILES files or ``limit`` bytes in all.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _pack_once(root.resolve(), main, limit, only, named, voices or {}, extra)
        except FileNotFoundError as error:  # such as a temporary file of an editor
            _log.debug("attempt %d: %s was removed while the folder was packed", attempt, error.filename)
            gone = error
    raise SpecError(
        f"{gone.filename} was removed while the folder was packed",
        hint="run the command again, or exclude files that come and go in .rendererignore",
    ) from gone


def _pack_once(
    root: Path,
    main: Path,
    limit: int,
    only: Collection[Path] | None,
    named: Collection[Path],
    voices: Mapping[str, bytes],
    extra: Mapping[str, bytes] | None,
) -> Packed:
    """Pack the folder, as ``pack``. Raises FileNotFoundError for a file that is removed meanwhile."""
    walk = _Walk(root)
    found = list(walk.find() if only is None else walk.find_these(only))
    known = {item.entry.name for item in found}
    found += walk.find_these([path for path in named if path.relative_to(root).as_posix() not in known])
    needed = {path.relative_to(root).as_posix() for path in (main.parent.resolve() / main.name, main.resolve())}
    entries = {item.entry.name: item.entry for item in found}
    for name in needed - set(entries):
        if walk.links.pop(name, None):
            entries[name] = Entry.make(name, root, main.read_bytes())
        else:
            entries[name] = Entry(name, root, (root / name).lstat())
    _check_size(list(entries.values()), limit)
    expanded = Expanded(EXPANSION * limit)
    credentials = {item.entry.name for item in found if not item.is_named and is_credential(item.entry, expanded)}
    credentials -= needed
    for name in credentials:
        del entries[name]
        _log.debug("left out %s: %s", name, CREDENTIAL)
    size = sum(entry.info.st_size for entry in entries.values())
    ignored = {name: reason for name, reason in sorted(walk.ignored.items()) if name not in entries}
    for entry in _add_voices(root, entries, voices, limit - size):
        entries[entry.name] = entry
        size += entry.info.st_size
    for name in sorted(entries):
        _log.debug("included %s", name)
    bundle = archive.make_bundle(entries.values(), extra, walk.folders)
    _log.debug("the bundle %s of %s holds %d files, %d bytes", bundle.digest, root, len(entries), size)
    return Packed(
        bundle=bundle,
        files=tuple(sorted(entries)),
        credentials=tuple(sorted(credentials)),
        ignored=ignored,
        links=walk.links,
        size=size,
        is_whole=only is None,
    )


def _add_voices(root: Path, entries: Mapping[str, Entry], voices: Mapping[str, bytes], limit: int) -> Iterator[Entry]:
    """Yield entries for voices; none if together they are larger than the limit."""
    if sum(map(len, voices.values())) > limit:
        _log.debug("left out the voices of earlier jobs: they are too large")
        return
    for name, content in voices.items():
        if name not in entries:
            yield Entry.make(name, root, content)
        elif PurePosixPath(name).name == INDEX:
            yield Entry.make(name, root, merge_indexes(entries[name].read(), content))


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that a bundle does not include. It would with ``pattern`` in ``file``, a .rendererignore."""

    reason: str
    pattern: str | None = None
    file: str = OWN_IGNORE_FILE


def explain_left_out(root: Path, name: str, *, with_links: bool = True) -> LeftOut | None:
    """Return why a file or folder of the root would be left out of a bundle; None if it would not, or if it is missing.

    ``name`` is relative to the root, with slashes and without ``..``. Without ``with_links``, links that lead out of
    the root are no reason: the job follows them.
    """
    rules, folder = IgnoreRules(root), ""
    for part in (*name.split("/"), None):
        beside = _list_names(root / folder)
        rules = rules.enter(folder, beside)
        if part not in beside or part is None:
            return None
        path = f"{folder}/{part}" if folder else part
        is_folder = (root / path).is_dir() and not (root / path).is_symlink()
        if reason := rules.find_reason(path, beside, is_folder=is_folder):
            if reason.folder is None:
                return LeftOut(reason.text)
            pattern = f"!{path[len(reason.folder) :]}{'/' if is_folder else ''}"
            return LeftOut(reason.text, pattern, reason.folder + OWN_IGNORE_FILE)
        if not is_folder:
            if target := find_outward_link(root, path):
                return LeftOut(describe_link(target, "it" if path == name else path)) if with_links else None
            is_left_out = not rules.names(path) and is_credential(Entry(path, root, (root / path).lstat()))
            return LeftOut(CREDENTIAL, f"!{path}") if is_left_out else None
        folder = path
    return None


@dataclass(frozen=True)
class _Found:
    """A file to include. ``is_named``: also if it looks like a credential."""

    entry: Entry
    is_named: bool


class _Walk:
    """Finds the files that the bundle includes, and remembers which it left out and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ignored: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.folders: list[str] = []
        self._files = 0

    def find_these(self, files: Collection[Path]) -> Iterator[_Found]:
        """Yield these files, also those that an ignore file names."""
        for path in files:
            yield from self._file(path.relative_to(self.root).as_posix(), path.lstat(), is_named=False)

    def find(self) -> Iterator[_Found]:
        """Yield the files of the root and of all folders below it."""
        left = [("", IgnoreRules(self.root))]
        while left:
            folder, above = left.pop()
            items = _scan(self.root / folder)
            beside = frozenset(item.name for item in items)
            rules = above.enter(folder, beside)
            for item in items:
                name = f"{folder}/{item.name}" if folder else item.name
                is_folder = item.is_dir(follow_symlinks=False)
                if reason := rules.find_reason(name, beside, is_folder=is_folder):
                    self._leave_out(name, reason.text)
                elif is_folder:
                    left.append((name, rules))
                else:
                    yield from self._file(name, item.stat(follow_symlinks=False), is_named=rules.names(name))
            names = {f"{folder}/{name}" for name in beside}
            if OWN_IGNORE_FILE not in beside and all(
                self.ignored.get(name, MADE_BY_MANIM) != MADE_BY_MANIM for name in names
            ):
                self._keep_folder(folder)

    def _keep_folder(self, folder: str) -> None:
        """Include a folder without files: a job may write into it, or list it."""
        if folder and len(os.fsencode(folder)) < NAME_BYTES:
            self._count()
            self.folders.append(folder)

    def _leave_out(self, name: str, reason: str) -> None:
        self.ignored[name] = reason
        _log.debug("left out %s: %s", name, reason)

    def _count(self) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            raise SpecError(
                f"{self.root} holds more than {MAX_FILES:,} files, too many for a job",
                hint="choose a smaller folder with --root, or exclude what the job does not need in .rendererignore",
            )

    def _file(self, name: str, info: os.stat_result, *, is_named: bool) -> Iterator[_Found]:
        """Yield the file if it is included."""
        if not stat.S_ISLNK(info.st_mode) and not stat.S_ISREG(info.st_mode):
            self._leave_out(name, "a socket, pipe or device has no content to upload")
            return
        is_link = stat.S_ISLNK(info.st_mode) and (is_named or not looks_like_credential(Path(name)))
        if is_link and (target := find_outward_link(self.root, name)):
            self.links[name] = target
            self._leave_out(name, describe_link(target))
            return
        self._count()
        yield _Found(Entry(name, self.root, info), is_named)


def find_outward_link(root: Path, name: str) -> str | None:
    """Return the target, as an absolute path, of a link that is absolute or leads out of the root; None for others."""
    path = root / name
    if not path.is_symlink():
        return None
    target = path.readlink()
    if target.is_absolute():
        return str(target)
    try:
        place = path.resolve()
    except (OSError, RuntimeError):  # it leads to itself; what Python raises changed with 3.13
        place = Path(os.path.normpath(path.parent / target))
    return None if place.is_relative_to(root) else str(place)


def describe_link(target: str, what: str = "it") -> str:
    """Return why a link that leads out of the root is left out."""
    return f"{what} is a link to {target}; replace it by a copy, or by a relative link within the folder"


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SpecError(
            f"cannot read {folder}: {error.strerror}", hint="fix its permissions, or exclude it in .rendererignore"
        ) from error


def _list_names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208  # names are wanted, not paths
    except OSError:
        return frozenset()


def is_credential(entry: Entry, expanded: Expanded | None = None) -> bool:
    """Return whether a file looks like a credential, by its name or by its content."""
    is_small_file = stat.S_ISREG(entry.info.st_mode) and entry.info.st_size <= MAX_SCANNED
    return looks_like_credential(Path(entry.name)) or (is_small_file and holds_credential(entry.read(), expanded))


def _check_size(entries: list[Entry], limit: int) -> None:
    size = sum(entry.info.st_size for entry in entries)
    if size > limit:
        least = min(limit // 100, max(entry.info.st_size for entry in entries))
        large = (entry for entry in entries if entry.info.st_size >= least)
        largest = sorted(large, key=lambda entry: -entry.info.st_size)[:LARGEST_SHOWN]
        listed = ", ".join(f"{entry.name} ({_mib(entry.info.st_size)})" for entry in largest)
        raise SpecError(
            f"the folder holds {_mib(size)}, more than the limit of {_mib(limit)}; the largest files: {listed}",
            hint="choose a smaller folder with --root, exclude what the job does not need in .rendererignore, "
            "or raise --bundle-limit-mib",
        )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
