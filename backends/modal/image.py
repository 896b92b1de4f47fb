"""What a deployment is made of: the folder that the image is built from, and a hash of everything."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from backends import image_context
from backends.errors import BackendError, SpecError
from backends.modal.dockerfile_rules import lint
from backends.modal.request import CPU, MEMORY_MIB, MOUNT, TIMEOUT_S, Deployment, Recipe

RENDER_FUNCTION = Path(__file__).with_name("render_function.py")
_DEPLOY = Path(__file__).with_name("deploy.py")


@dataclass(frozen=True)
class Staged:
    """A folder ready to be deployed from, and the hash that tells it from every other."""

    folder: Path
    content: str


@contextmanager
def staged(deployment: Deployment) -> Iterator[Staged]:
    """Put the folder together, for a while. Raises SpecError for requirements that cannot be read."""
    with tempfile.TemporaryDirectory(prefix="renderer-image-") as name:
        folder = Path(name)
        image_context.stage(folder, _requirements(deployment.recipe))
        content = hashlib.sha256(image_context.digest(folder, image_context.build_arguments()).encode())
        content.update(json.dumps(asdict(deployment)).encode())
        content.update(repr((CPU, MEMORY_MIB, MOUNT, TIMEOUT_S)).encode())
        content.update(RENDER_FUNCTION.read_bytes() + _DEPLOY.read_bytes())
        yield Staged(folder, content.hexdigest()[:32])


def check_dockerfile(folder: Path) -> None:
    """Refuse a Dockerfile that Modal's builder would not build as written. Raises BackendError with the first line."""
    for finding in lint((folder / image_context.DOCKERFILE).read_text("utf-8")):
        raise BackendError(
            f"Modal cannot build the image: line {finding.line} of docker/Dockerfile: {finding.message}",
            hint="`renderer image lint` lists all such lines",
        )


def _requirements(recipe: Recipe) -> list[str]:
    lines = list(recipe.packages)
    if recipe.requirements:
        path = Path(recipe.requirements)
        try:
            lines += path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"cannot read {path}: {error}", hint="[modal] requirements names it") from error
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]
