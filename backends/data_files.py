"""Finds the folders k8s/ and docker/: in a wheel they are in ``_data``, in a checkout at its root."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def data_dir(name: str) -> Path:
    """Return the folder ``k8s`` or ``docker``."""
    installed = _HERE / "_data" / name
    return installed if installed.is_dir() else _HERE.parent / name
