"""Asks other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

SECONDS = 30


def ask(command: Sequence[str]) -> tuple[int | None, str]:
    """Give exit code and output of a program, stdout first; None when it is not there or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS)
    except FileNotFoundError:
        return None, "not installed"
    except subprocess.TimeoutExpired:
        return None, f"does not answer within {SECONDS} s"
    except OSError as error:
        return None, f"cannot be run: {error.strerror}"
    return done.returncode, (done.stdout.strip() + "\n" + done.stderr.strip()).strip()


def first_line(text: str) -> str:
    """Give the first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
