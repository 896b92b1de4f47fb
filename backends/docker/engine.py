"""Checks the program that runs containers, docker or podman: whether it works here, and which images it has."""

from __future__ import annotations

import shutil
import subprocess

from backends.diagnostics import Check
from backends.errors import BackendError

ANSWER_TIMEOUT_S = 20
SANDBOX = "runsc"


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

    def require_seccomp(self) -> None:
        """Raise BackendError if containers would have every system call of the kernel."""
        field = "{{.Host.Security.SECCOMPEnabled}}" if self.name == "podman" else "{{.SecurityOptions}}"
        words = self._read("info", "--format", field)
        if words.strip() != "true" and ("seccomp" not in words or "unconfined" in words):
            raise BackendError(
                f"the docker backend cannot run untrusted jobs: {self.name} has no seccomp filter",
                hint="switch on its default seccomp profile",
            )

    def find_sandbox(self) -> str | None:
        """Return the name of gVisor's runtime, which gives a container a kernel of its own; None without it."""
        if self.name == "podman":  # finds runtimes by itself
            return SANDBOX if shutil.which(SANDBOX) else None
        return SANDBOX if f'"{SANDBOX}"' in self._read("info", "--format", "{{json .Runtimes}}") else None

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

    def _read(self, *arguments: str) -> str:
        """Return what a command of the engine prints; an empty text where it fails."""
        try:
            done = subprocess.run(
                [self.name, *arguments], capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout if done.returncode == 0 else ""

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
