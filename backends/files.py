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
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "manim-renderer" / name
