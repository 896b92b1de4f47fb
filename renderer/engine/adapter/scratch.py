"""Paths of the scratch folder that TeX, dvisvgm and ffmpeg take as they are."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Elsewhere TeX takes ~ and % for its own, dvisvgm %, ffmpeg's lists of files ', and TeX opens no hidden files.
_USABLE = re.compile(r"(/[A-Za-z0-9_+=@,-][A-Za-z0-9_+=@,.-]*)+")
_PARENTS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # for a private folder within


@contextmanager
def usable_path(folder: Path) -> Iterator[Path]:
    """Yield a path of the folder, through a link if its own path has characters that have a meaning for a program."""
    parents = [path for path in _PARENTS if Path(path).is_dir()]
    if _USABLE.fullmatch(str(folder.absolute())) or not parents:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="renderer-", dir=parents[0]) as private:
        link = Path(private, "scratch")
        link.symlink_to(folder.absolute())
        yield link
