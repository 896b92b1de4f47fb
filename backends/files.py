"""Digests of files, and this program's folders below the user's home."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_folder(name: str) -> Path:
    """Return the folder for state that must survive, below XDG_STATE_HOME or its default."""
    return _user_folder("XDG_STATE_HOME", ".local/state") / name


def cache_folder(name: str) -> Path:
    """Return the folder for what can be made again, below XDG_CACHE_HOME or its default."""
    return _user_folder("XDG_CACHE_HOME", ".cache") / name


def _user_folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / "manim-renderer"
