"""The command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
SMALL = ("--resolution", "160x90", "--fps", "10")


def renderer(*arguments: str | Path, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `renderer` in a folder."""
    return subprocess.run(
        [BIN / "renderer", *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600
    )


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the variables of a user whose home is ``home``, without the settings of the user who runs the tests."""
    own = ("RENDERER_", "XDG_", "MODAL_", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        **more,
    }


def output(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed with --json."""
    return json.loads(done.stdout)
