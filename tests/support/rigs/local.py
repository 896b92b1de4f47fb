"""The local backend with a state folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.rigs.base import Rig


@contextmanager
def local(folder: Path) -> Iterator[Rig]:
    """Keep jobs in ``folder``; nothing has to be started."""
    yield Rig("local", {"local.state_dir": folder / "jobs", "local.cache_mib": 0})
