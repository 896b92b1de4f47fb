"""Makes the folder that the image is built from, and the hash that identifies a deployment."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from backends.errors import BackendError, SpecError
from backends.image import context as image_context
from backends.modal.deploy.dockerfile_rules import lint
from backends.modal.request import Deployment, Recipe

RENDER_FUNCTION = Path(__file__).with_name("render_function.py")


def content_hash(deployment: Deployment) -> str:
    """Return a hash of everything that is deployed. Raises SpecError for wrong requirements."""
    found = hashlib.sha256(image_context.hash_sources(_read_requirements(deployment.recipe)).encode())
    found.update(json.dumps([asdict(deployment), image_context.build_arguments()]).encode())
    return found.hexdigest()[:32]


@contextmanager
def staged_context(deployment: Deployment) -> Iterator[Path]:
    """Yield a temporary folder to build the image from. Raises the errors of ``check_dockerfile``."""
    with tempfile.TemporaryDirectory(prefix="renderer-image-") as folder:
        image_context.copy_context(Path(folder), _read_requirements(deployment.recipe))
        check_dockerfile(Path(folder))
        yield Path(folder)


def check_dockerfile(folder: Path) -> None:
    """Raise BackendError for the first line of the Dockerfile that Modal does not build as docker does."""
    for finding in lint((folder / image_context.DOCKERFILE).read_text("utf-8")):
        raise BackendError(
            f"Modal cannot build the image: line {finding.line} of docker/Dockerfile: {finding.message}",
            hint="`renderer image lint` lists all such lines",
        )


def _read_requirements(recipe: Recipe) -> list[str]:
    """Return the requirements to install. Raises SpecError for a file that cannot be read."""
    lines = list(recipe.packages)
    if recipe.requirements:
        path = Path(recipe.requirements)
        try:
            lines += path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SpecError(
                f"cannot read the requirements {str(path)!r}: {why}", hint="check --requirements"
            ) from error
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]
