"""Runs containers of the image, and builds of it, with what this machine has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.commands import BIN

IMAGE_TESTS = Path(__file__).parents[1] / "image"
BASE = "localhost/renderer-base:bookworm"
LIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096")


@dataclass(frozen=True)
class Podman:
    """An image, run as an unprivileged user on a read-only root without network."""

    image: str

    def run(
        self, *command: str, user: str = "10001:0", options: Sequence[str] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a new container."""
        words = ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "run", "--rm", "--network=none"]
        words += ["--read-only", "--user", user, *LIMITS, *options, self.image, *command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


def image_command(
    *words: str, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `renderer image …`."""
    return subprocess.run(
        [BIN / "renderer", "image", *words],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def mounts() -> list[str]:
    """Give the engine options that a build needs here, as build-image gives them."""
    done = subprocess.run([IMAGE_TESTS / "build-image", "--options"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
