"""Makes sure that the function is deployed, with the current image and code."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from backends.errors import BackendError, RendererError
from backends.modal.deploy.image import REMARK, content_hash, staged_context
from backends.modal.errors import translate_error_names
from backends.modal.request import Deployment
from backends.modal.session import Session

if TYPE_CHECKING:
    from backends.modal.deploy.deploy_script import DeployRequest, DeployResult

CONTENT_TAG = "renderer"  # the app's tag with the hash of what is deployed
BUILDER_VERSION = "2025.06"  # from here on Modal's image builder installs nothing into the image's own Python
_log = logging.getLogger(__name__)


def ensure_deployed(session: Session, deployment: Deployment) -> None:
    """Deploy the app, unless it is already deployed with the same content."""
    content = content_hash(deployment)
    if is_current(session, deployment.app, content):
        return
    _log.warning("deploying %s to Modal; the first time this builds an image, which takes minutes", deployment.app)
    recipe = deployment.recipe
    with staged_context(deployment) as folder:
        _deploy(
            {
                "app": deployment.app,
                "recipe": {
                    "base": recipe.base,
                    "python": recipe.python,
                    "registry_secret": recipe.registry_secret,
                    "packages": list(recipe.packages),
                },
                "gpus": list(deployment.gpus),
                "untrusted": deployment.untrusted,
                "shards": deployment.shards,
                "environment": session.environment,
                "content": content,
                "folder": str(folder),
            }
        )


def is_current(session: Session, app: str, content: str) -> bool:
    """Return whether the app is deployed with this content (a hash)."""

    def read_tag() -> bool:
        try:
            found = session.modal.App.lookup(app, environment_name=session.environment)
        except session.modal.exception.NotFoundError:
            return False
        return bool(found.get_tags().get(CONTENT_TAG) == content)

    return session.call(read_tag)


def _deploy(request: DeployRequest) -> None:
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="renderer-deploy-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "backends.modal.deploy.deploy_script"],
            cwd=folder,
            env=_without_git(os.environ, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        with process:
            try:
                _exchange(process, json.dumps(request), lines)
            except BaseException:
                process.kill()
                raise
    _check(lines, process.returncode)


def _without_git(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return environment variables with which Modal's client cannot find a git repository."""
    kept = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
    return {
        "MODAL_IMAGE_BUILDER_VERSION": BUILDER_VERSION,
        **kept,
        "GIT_DIR": f"{folder}/none",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }


def _exchange(process: subprocess.Popen[str], request: str, lines: list[str]) -> None:
    """Write the request, and collect the lines that the process prints."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    process.stdin.write(request)
    process.stdin.close()
    for line in process.stdout:
        if text := line.strip():
            lines.append(text)
            _log.debug("%s", text)


def _check(lines: list[str], code: int) -> None:
    try:
        result: DeployResult = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = lines[-1] if lines else "it printed nothing"
        raise BackendError(f"deploying to Modal ended with exit code {code}: {last}") from None
    if "error" in result:
        raise _translate_failure(result["error"], result["names"], lines[:-1])


def _translate_failure(error: str, names: list[str], lines: list[str]) -> RendererError:
    if names[0] != "ImageBuildError":
        return translate_error_names(names, error)
    if remark := next((line.partition(REMARK)[2] for line in lines if line.startswith(REMARK)), ""):
        return BackendError(remark)
    image = re.search(r"im-\w+", error)
    step = next((line for line in reversed(lines) if re.match(r"(=> )?Step \d+", line)), "")
    message = f"Modal could not build the image; it failed at: {step}" if step else "Modal could not build the image"
    return BackendError(message, hint=f"`modal image logs {image[0]}` shows the whole build" if image else None)
