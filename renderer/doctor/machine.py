"""Checks Python and its packages, the processors, the disk and the home folder."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check, State

MIN_PYTHON = (3, 11)
LOW_DISK_BYTES, MIN_DISK_BYTES = 5 * 10**9, 5 * 10**8


def check_machine() -> Iterator[Check]:
    """Yield one check each of Python, Manim, processors, disk and home folder."""
    yield _check_python()
    yield _check_manim()
    cores = len(os.sched_getaffinity(0))
    yield Check("processors", "ok", f"{cores} usable, {platform.machine()}, {platform.platform()}")
    yield _check_disk()
    yield _check_home()


def _check_python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] >= MIN_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "failure", found, "install Python 3.11 or newer: Manim needs it")


def _check_manim() -> Check:
    found = []
    for name in ("manim", "av", "pycairo", "manimpango"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            hint = "pip install 'manim-renderer[manim]', or render elsewhere: --backend k8s or --backend modal"
            return Check("Manim", "warning", f"the Python package {name} is not installed", hint)
    return Check("Manim", "ok", ", ".join(found))


def _check_disk() -> Check:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 10**9:.1f} GB free in {folder}"
    if free >= LOW_DISK_BYTES:
        return Check("disk", "ok", found)
    state: State = "failure" if free < MIN_DISK_BYTES else "warning"
    return Check("disk", state, found, "free some disk space, or set TMPDIR to a folder on a larger disk")


def _check_home() -> Check:
    try:
        home = Path.home()
        with tempfile.TemporaryFile(dir=home):
            return Check("HOME", "ok", f"{home} is writable")
    except (OSError, RuntimeError) as error:
        hint = "set HOME to a writable folder: TeX and fonts keep their caches there"
        return Check("HOME", "warning", f"not writable: {error}", hint)
