"""Checks the program that runs containers, docker or podman: whether it works here, and which images it has."""

from __future__ import annotations

import shutil
import subprocess

from backends.diagnostics import Check
from backends.errors import BackendError

ANSWER_TIMEOUT_S = 20


class Engine:
    """The program that runs containers; ``name`` is docker or podman."""

    def __init__(self, name: str) -> None:
        self.name = name

    def require(self) -> None:
        """Raise BackendError if the engine does not work here."""
        if (refusal := self._run("info")) is not None:
            other = "podman" if self.name == "docker" else "docker"
            hint = f"start it, or set docker.engine = {other!r} (RENDERER_DOCKER_ENGINE={other})"
            raise BackendError(f"{self.name} cannot run containers here: {refusal}", hint=hint)

    def require_image(self, image: str) -> None:
        """Raise BackendError if the engine does not have the image."""
        if self._run("image", "inspect", image) is not None:
            hint = f"`{self.name} pull {image}`, or build it with `renderer image build`, and name it with --image"
            raise BackendError(f"{self.name} has no image {image}", hint=hint)

    def check(self) -> Check:
        """Return a check of whether the engine works."""
        try:
            self.require()
        except BackendError as error:
            return Check("engine", "failure", str(error), error.hint)
        return Check("engine", "ok", f"{self.name} answers")

    def check_image(self, image: str) -> Check:
        """Return a check of whether the engine has the image."""
        try:
            self.require_image(image)
        except BackendError as error:
            return Check("image", "failure", str(error), error.hint)
        return Check("image", "ok", f"{self.name} has {image}")

    def _run(self, *arguments: str) -> str | None:
        """Run a command of the engine; return why it failed, or None when it worked."""
        if shutil.which(self.name) is None:
            return "it is not installed"
        try:
            done = subprocess.run(
                [self.name, *arguments], capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return f"it does not answer within {ANSWER_TIMEOUT_S} s"
        if done.returncode == 0:
            return None
        return next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
