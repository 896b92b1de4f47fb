"""Makes the folder that the image is built from, and the hash that identifies a deployment."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from backends.errors import BackendError
from backends.image import context as image_context
from backends.image.worker_archive import build_worker_archive
from backends.modal.deploy.dockerfile_rules import lint
from backends.modal.request import Deployment
from backends.worker_protocol import ARCHIVE

REQUIREMENTS = "requirements.txt"
REMARK = "renderer: "  # a line of the build's log that begins with it says why the build fails
RENDER_FUNCTION = Path(__file__).with_name("render_function.py")
SHARD_FUNCTION = Path(__file__).with_name("shard_function.py")


def content_hash(deployment: Deployment) -> str:
    """Return a hash of everything that is deployed."""
    found = hashlib.sha256(image_context.hash_sources().encode())
    found.update(json.dumps([asdict(deployment), image_context.build_arguments()]).encode())
    return found.hexdigest()[:32]


@contextmanager
def staged_context(deployment: Deployment) -> Iterator[Path]:
    """Yield a temporary folder to build the image from. Raises the errors of ``check_dockerfile``."""
    with tempfile.TemporaryDirectory(prefix="renderer-image-") as folder:
        image_context.copy_context(Path(folder))
        Path(folder, ARCHIVE).write_bytes(build_worker_archive())
        Path(folder, REQUIREMENTS).write_text("\n".join(deployment.recipe.packages) + "\n", "utf-8")
        check_dockerfile(Path(folder))
        yield Path(folder)


def check_dockerfile(folder: Path) -> None:
    """Raise BackendError for the first line of the Dockerfile that Modal does not build as docker does."""
    for finding in lint((folder / image_context.DOCKERFILE).read_text("utf-8")):
        raise BackendError(
            f"Modal cannot build the image: line {finding.line} of docker/Dockerfile: {finding.message}",
            hint="`renderer image lint` lists all such lines",
        )
