"""Containers of the image, and builds of it, with podman and buildah."""

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
    """An image. Its containers have an unprivileged user, a read-only root and no network."""

    image: str

    def run(
        self, *command: str, user: str = "10001:0", options: Sequence[str] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a new container."""
        command_line = ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "run", "--rm", "--network=none"]
        command_line += ["--read-only", "--user", user, *LIMITS, *options, self.image, *command]
        done = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=600)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


def image_command(
    *words: str, env: dict[str, str] | None = None, timeout: float = 1200
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
    """Return the options that a build needs on this machine, as tests/image/build-image uses them."""
    done = subprocess.run([IMAGE_TESTS / "build-image", "--options"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
