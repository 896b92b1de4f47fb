"""Runs another program, with a time limit, and returns what it printed."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Sequence

RUN_TIMEOUT_S = 30

_log = logging.getLogger(__name__)


def run_program(command: Sequence[str]) -> tuple[int | None, str]:
    """Return the exit code of a program and its output: stdout first, then stderr.

    If the program is not installed, cannot be run, or does not end within ``RUN_TIMEOUT_S``, the exit code is None, and
    the text is the reason.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=RUN_TIMEOUT_S
        )
    except FileNotFoundError:
        return None, "not installed"
    except subprocess.TimeoutExpired:
        return None, f"did not answer within {RUN_TIMEOUT_S} s"
    except OSError as error:
        return None, f"cannot be run: {error.strerror}"
    _log.debug("%s ended with %d after %.2f s", command, done.returncode, time.monotonic() - started)
    return done.returncode, (done.stdout.strip() + "\n" + done.stderr.strip()).strip()


def first_line(text: str) -> str:
    """Return the first line that is not blank, or an empty string."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
