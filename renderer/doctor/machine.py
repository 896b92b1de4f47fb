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
from renderer.system.manim_versions import KNOWN, find_installed_manim
from renderer.system.run import run_program

MIN_PYTHON = (3, 11)
_MANIMS_PACKAGES = ("av", "pycairo", "manimpango")  # Manim 0.18 has no av
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
    installed = find_installed_manim()
    if installed is None:
        hint = "pip install 'manim-renderer[manim]', or render elsewhere: --backend k8s or --backend modal"
        return Check("Manim", "warning", "the Python package manim is not installed", hint)
    packages = ", ".join(f"{name} {version}" for name in _MANIMS_PACKAGES if (version := _find_version(name)))
    known = " and ".join(KNOWN)
    if not installed.why_serial:
        return Check("Manim", "ok", f"manim {installed.version}, {packages}; scenes are rendered in parallel")
    code, output = run_program([sys.executable, "-c", "import manim"])
    if code != 0:
        found = f"manim {installed.version} cannot be imported: {(output.splitlines() or ['no reason'])[-1]}"
        return Check("Manim", "warning", found, f"install what it misses, or manim=={known}")
    found = f"manim {installed.version}, {packages}; scenes are rendered serially: {installed.why_serial}"
    return Check("Manim", "warning", found, f"for parallel renders: pip install manim=={known}")


def _find_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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
