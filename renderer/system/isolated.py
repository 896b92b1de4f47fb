"""Runs a module of ours in a Python process of its own, from an installation or from a plain checkout."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])


def command(module: str, *arguments: str) -> list[str]:
    """Give the command. The current folder and PYTHON… variables do not count in that process."""
    code = f"import runpy, sys; sys.path.insert(0, {_ROOT!r}); runpy.run_module({module!r}, run_name='__main__')"
    return [sys.executable, "-I", "-c", code, *arguments]
