"""Python and its packages, processors, disk, HOME."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check

LEAST_PYTHON = (3, 11)
FEW_BYTES, TOO_FEW_BYTES = 5 * 10**9, 5 * 10**8


def lines() -> Iterator[Check]:
    """Give the lines."""
    yield _python()
    yield _manim()
    cores = len(os.sched_getaffinity(0))
    yield Check("processors", "ok", f"{cores} usable, {platform.machine()}, {platform.platform()}")
    yield _disk()
    yield _home()


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] >= LEAST_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "failure", found, "Manim needs Python 3.11 or newer")


def _manim() -> Check:
    found = []
    for name in ("manim", "av", "pycairo", "manimpango"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            todo = "pip install 'manim-renderer[manim]', or render elsewhere: --backend k8s or modal"
            return Check("Manim", "warning", f"the Python package {name} is not installed", todo)
    return Check("Manim", "ok", ", ".join(found))


def _disk() -> Check:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 10**9:.1f} GB free in {folder}"
    if free >= FEW_BYTES:
        return Check("disk", "ok", found)
    return Check(
        "disk", "failure" if free < TOO_FEW_BYTES else "warning", found, "free some, or point TMPDIR elsewhere"
    )


def _home() -> Check:
    try:
        home = Path.home()
        with tempfile.TemporaryFile(dir=home):
            return Check("HOME", "ok", f"{home} is writable")
    except (OSError, RuntimeError) as error:
        return Check(
            "HOME", "warning", f"not writable: {error}", "set HOME to a writable folder: TeX and fonts cache there"
        )
