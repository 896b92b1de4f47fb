"""Projects for tests: folders with files."""

from __future__ import annotations

from pathlib import Path


def make(root: Path, names: dict[str, str]) -> Path:
    """Write each file, given by its path beneath ``root`` and its text. Return the path of ``main.py``."""
    for name, text in names.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "main.py"
