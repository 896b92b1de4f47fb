"""The docker backend with podman, which needs no daemon, and the image of this checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.rigs.base import Rig, make_foreign_image

BUILD = Path(__file__).parents[2] / "image" / "build-image"
OPTIONS = "--cgroup-manager=cgroupfs --runtime=runc --network=none --ulimit nofile=20000:20000 --ulimit nproc=4096:4096"


@contextmanager
def docker(folder: Path) -> Iterator[Rig]:
    """Build the image if its content is new, and keep jobs in ``folder``."""
    image = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    settings = {"docker.engine": "podman", "docker.options": OPTIONS, "docker.state_dir": folder / "jobs"}
    yield Rig("docker", {"image": image, **settings}, make_foreign_image)
