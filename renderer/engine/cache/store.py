"""Painted segments that are kept from render to render, in a folder that many jobs may use at once.

An entry lies in FOLDER/FIRST/KEY.DIGEST: FIRST is the key of its first frame, so that a painter can tell early whether
its part may be there; DIGEST is that of the file's own bytes, which shows damage.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

MIB = 2**20
LEFTOVER_S = 3600.0  # a temporary file so old belongs to nobody any more


class ChunkKey:
    """The key of a part, built up frame by frame. ``known`` is false once a frame cannot be told by its digest."""

    def __init__(self, settings: str) -> None:
        self._hasher = blake2b(settings.encode(), digest_size=20)
        self.first = ""
        self.known = True

    def start_from(self, static_picture: bytes | None) -> None:
        """Add what the static image shows."""
        self._add(static_picture)

    def add(self, picture: bytes | None, repeat: int) -> None:
        """Add a frame that is shown ``repeat`` times."""
        self._add(picture)
        self._hasher.update(b"%d;" % repeat)
        self.first = self.first or self._hasher.hexdigest()

    def _add(self, picture: bytes | None) -> None:
        self.known &= picture is not None
        self._hasher.update(picture or b"")

    @property
    def whole(self) -> str:
        """The key of all frames so far."""
        return self._hasher.hexdigest()


@dataclass(frozen=True)
class ChunkCache:
    """A folder of segments, of at most ``limit_mib`` after each render."""

    folder: Path
    limit_mib: int

    @property
    def versions(self) -> str:
        """Everything that makes pixels and bytes, apart from the scene and the encoder's settings."""
        import cairo

        package = Path(__file__).parents[2]
        sources = sorted(path for folder in ("engine", "video") for path in (package / folder).rglob("*.py"))
        own = _digest(b"".join(path.read_bytes() for path in sources))
        packages = [version(package) for package in ("manim", "numpy", "pycairo", "pillow", "av")]
        return repr([os.uname().machine, own, cairo.cairo_version_string(), *packages])

    def may_have(self, key: ChunkKey) -> bool:
        """Tell whether a segment that begins with the same frame is there."""
        return (self.folder / key.first).is_dir()

    def take(self, key: ChunkKey, target: Path) -> bool:
        """Copy the segment to ``target``. An entry that is damaged goes away."""
        for path in (self.folder / key.first).glob(f"{key.whole}.*"):
            with suppress(OSError):
                data = path.read_bytes()
                if _digest(data) == path.suffix[1:]:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                    os.utime(path)  # what is used stays
                    return True
                path.unlink()
        return False

    def keep(self, key: ChunkKey, source: Path) -> None:
        """Copy a segment in. Where that cannot be done the next render paints it again."""
        folder = self.folder / key.first
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            data = source.read_bytes()
            descriptor, temporary = tempfile.mkstemp(prefix="new-", dir=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(temporary).replace(folder / f"{key.whole}.{_digest(data)}")
            except OSError:
                Path(temporary).unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove what has not been used for longest until the rest is within the limit."""
        entries = sorted(self._entries(), key=lambda entry: entry[0], reverse=True)
        left = self.limit_mib * MIB
        newest = entries[0][0] if entries else 0.0
        for used, size, path in entries:
            left -= size
            if left < 0 or (path.name.startswith("new-") and used < newest - LEFTOVER_S):
                with suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()  # fails while others are in it

    def _entries(self) -> list[tuple[float, int, Path]]:
        """List the time of last use, the size and the path of each file."""
        found = []
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        return found


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=20).hexdigest()
