"""Finds MIG slices of this machine, and names them as the Container Device Interface (CDI) does."""

from __future__ import annotations

import re
import subprocess

from backends.errors import BackendError

ANSWER_TIMEOUT_S = 20
ANY = "GPU:SLICE"  # in a plan, which does not ask the machine
_GPU = re.compile(r"GPU (\d+): ")
_SLICE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): ")


def find_slices(profile: str, count: int) -> list[str]:
    """Return ``count`` slices with this profile, as GPU:SLICE. Raises BackendError if this machine has fewer."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S
        )
        lines = done.stdout.splitlines() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    found = [name for name, other in _read_slices(lines) if other == profile]
    if len(found) < count:
        raise BackendError(
            f"this machine has {len(found)} MIG slices {profile}, and the job needs {count}",
            hint="`nvidia-smi -L` lists its slices; --gpu 1 takes the first whole GPU",
        )
    return found[:count]


def _read_slices(lines: list[str]) -> list[tuple[str, str]]:
    """Return name and profile of each slice that `nvidia-smi -L` lists below its GPU."""
    gpu, found = "0", []
    for line in lines:
        if match := _GPU.match(line):
            gpu = match[1]
        elif match := _SLICE.match(line):
            found.append((f"{gpu}:{match[2]}", match[1]))
    return found
