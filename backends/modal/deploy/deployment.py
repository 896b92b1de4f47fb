"""Sees to it that the function is deployed and current."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backends.errors import BackendError, RendererError
from backends.modal.deploy.image import content_hash, staged
from backends.modal.errors import translate
from backends.modal.request import Deployment
from backends.modal.session import Session

TAG = "renderer"  # the app's tag that holds the hash of what is deployed
BUILDER = "2025.06"  # from this version on Modal's image builder installs nothing into the image's own Python
log = logging.getLogger(__name__)


def ensure(session: Session, deployment: Deployment, volume: str) -> None:
    """Deploy the app when it is missing or not what it should be, or mounts another volume than that of this id."""
    content = content_hash(deployment, volume)
    if is_current(session, deployment.app, content):
        return
    log.warning("deploying %s to Modal; the first time this builds an image, which takes minutes", deployment.app)
    with staged(deployment) as folder:
        described = {"environment": session.environment, "content": content, "folder": str(folder)}
        _deploy({**asdict(deployment), **described})


def is_current(session: Session, app: str, content: str) -> bool:
    """Tell whether the app is deployed with that content."""

    def look() -> bool:
        try:
            found = session.modal.App.lookup(app, environment_name=session.environment)
        except session.modal.exception.NotFoundError:
            return False
        return bool(found.get_tags().get(TAG) == content)

    return session.call(look)


def _deploy(wanted: Mapping[str, Any]) -> None:
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
                _read(process, json.dumps(wanted), lines)
            except BaseException:
                process.kill()
                raise
    _check(lines, process.returncode)


def _without_git(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Leave git nothing to find, whatever folder the user's own variables name."""
    kept = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
    return {
        "MODAL_IMAGE_BUILDER_VERSION": BUILDER,
        **kept,
        "GIT_DIR": f"{folder}/none",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }


def _read(process: subprocess.Popen[str], wanted: str, lines: list[str]) -> None:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both were asked for")
    process.stdin.write(wanted)
    process.stdin.close()
    for line in process.stdout:
        if text := line.strip():
            lines.append(text)
            log.debug("%s", text)


def _check(lines: list[str], code: int) -> None:
    try:
        said: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = lines[-1] if lines else "it said nothing"
        raise BackendError(f"deploying to Modal ended with exit code {code}: {last}") from None
    if "error" in said:
        raise _failure(said, lines[:-1])


def _failure(said: Mapping[str, Any], lines: list[str]) -> RendererError:
    if said["names"][0] != "ImageBuildError":
        return translate(said["names"], said["error"])
    image = re.search(r"im-\w+", said["error"])
    step = next((line for line in reversed(lines) if re.match(r"(=> )?Step \d+", line)), "")
    what = f"Modal could not build the image; it failed at: {step}" if step else "Modal could not build the image"
    return BackendError(what, hint=f"`modal image logs {image[0]}` shows the whole build" if image else None)
