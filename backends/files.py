"""Files on this machine, as several parts see them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def sha256(path: Path) -> str:
    """Give the digest of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_folder(name: str) -> Path:
    """Give the folder where a backend keeps its state from shell to shell: XDG_STATE_HOME, or its default."""
    return _user_folder("XDG_STATE_HOME", ".local/state") / name


def cache_folder(name: str) -> Path:
    """Give the folder for what can be made again: XDG_CACHE_HOME, or its default."""
    return _user_folder("XDG_CACHE_HOME", ".cache") / name


def _user_folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / "manim-renderer"
