"""Encoded chunks that are kept from render to render, in a folder that many jobs may use at once.

An entry is the file FOLDER/FIRST/KEY.DIGEST: FIRST is the key of its first frame, so that a chunk renderer can tell
early whether its chunk may be there. DIGEST is the digest of the file's content, which shows damage.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

MIB = 2**20
ABANDONED_S = 3600.0  # a temporary file that is so old is not written any more

_log = logging.getLogger(__name__)


class ChunkKey:
    """The key of a chunk, built frame by frame. ``is_known`` is false once a frame had no digest."""

    def __init__(self, settings: str) -> None:
        self._hasher = blake2b(settings.encode(), digest_size=20)
        self.first_frame = ""
        self.is_known = True

    def add_static_image(self, digest: bytes | None) -> None:
        """Add the image from which every frame starts."""
        self._add(digest)

    def add_frame(self, digest: bytes | None, repeat: int) -> None:
        """Add a frame that is shown ``repeat`` times."""
        self._add(digest)
        self._hasher.update(b"%d;" % repeat)
        self.first_frame = self.first_frame or self._hasher.hexdigest()

    def _add(self, digest: bytes | None) -> None:
        self.is_known &= digest is not None
        self._hasher.update(digest or b"")

    @property
    def all_frames(self) -> str:
        """The key of all frames so far."""
        return self._hasher.hexdigest()


@dataclass(frozen=True)
class ChunkCache:
    """A folder of encoded chunks, of at most ``limit_mib`` MiB after each render."""

    folder: Path
    limit_mib: int

    def has_first_frame(self, key: ChunkKey) -> bool:
        """Return whether a chunk that begins with the same frame is there."""
        found = (self.folder / key.first_frame).is_dir()
        _log.debug("first frame %s: %s", key.first_frame, "known" if found else "unknown")
        return found

    def restore(self, key: ChunkKey, target: Path) -> bool:
        """Copy the chunk to ``target``. Return whether it was there. A damaged entry is removed."""
        for path in (self.folder / key.first_frame).glob(f"{key.all_frames}.*"):
            with suppress(OSError):
                data = path.read_bytes()
                if _digest(data) == path.suffix[1:]:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                    os.utime(path)  # ``prune`` keeps what was used last
                    _log.debug("chunk %s: hit, %d bytes", key.all_frames, len(data))
                    return True
                path.unlink()
        _log.debug("chunk %s: miss", key.all_frames)
        return False

    def keep(self, key: ChunkKey, source: Path) -> None:
        """Copy a chunk into the cache. If that fails, the next render draws it again."""
        folder = self.folder / key.first_frame
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            data = source.read_bytes()
            descriptor, temporary = tempfile.mkstemp(prefix="new-", dir=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(temporary).replace(folder / f"{key.all_frames}.{_digest(data)}")
            except OSError:
                Path(temporary).unlink(missing_ok=True)
            else:
                _log.debug("chunk %s: kept, %d bytes", key.all_frames, len(data))

    def prune(self) -> None:
        """Remove the entries that were not used for the longest time, until the rest is within the limit."""
        entries = sorted(self._list_entries(), key=lambda entry: entry[0], reverse=True)
        left = self.limit_mib * MIB
        newest = entries[0][0] if entries else 0.0
        for used, size, path in entries:
            left -= size
            if left < 0 or (path.name.startswith("new-") and used < newest - ABANDONED_S):
                with suppress(OSError):
                    path.unlink()
                    path.parent.rmdir()  # fails while it has other entries

    def _list_entries(self) -> list[tuple[float, int, Path]]:
        """Return the time of last use, the size in bytes and the path of each file."""
        found = []
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        return found


@cache
def describe_versions(*, with_ffmpeg: bool) -> str:
    """Return everything that pixels and bytes depend on, apart from the scene and the encoder's settings.

    ``with_ffmpeg`` is true where the ffmpeg program encodes; only then is it asked for its version.
    """
    import av
    import cairo

    from renderer.video.ffmpeg_encoder import read_ffmpeg_version

    encoder = read_ffmpeg_version() if with_ffmpeg else repr(av.library_versions)
    packages = [version(package) for package in ("manim", "numpy", "pycairo", "pillow", "av")]
    return repr([os.uname().machine, _digest_own_source(), cairo.cairo_version_string(), *packages, encoder])


def _digest_own_source() -> str:
    package = Path(__file__).parents[2]
    files = sorted(path for folder in ("engine", "video") for path in (package / folder).rglob("*.py"))
    return _digest(b"".join(path.read_bytes() for path in files))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=20).hexdigest()
