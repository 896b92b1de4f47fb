"""The command that runs one of renderer's modules in a separate, isolated Python process."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])


def isolated_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs ``module`` as a program, from an installation or from a plain checkout.

    The process ignores the current folder and all PYTHON… variables.
    """
    code = f"import runpy, sys; sys.path.insert(0, {_ROOT!r}); runpy.run_module({module!r}, run_name='__main__')"
    return [sys.executable, "-I", "-c", code, *arguments]
