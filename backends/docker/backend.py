"""The backend of this machine's containers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from backends.base import Plan
from backends.diagnostics import Check
from backends.docker.options import DockerOptions
from backends.errors import BackendError, SpecError
from backends.files import state_folder
from backends.gpus import request as gpu_request
from backends.local.backend import LocalBackend, LocalRequest
from backends.local.folder import JobFolder, Launcher
from backends.local.options import LocalOptions
from backends.models import JobSpec
from backends.worker_protocol import worker_command

HINT = "build it with `renderer image build`, and name it with --image"
PYTHON = "/opt/venv/bin/python"
JOB = "/job"  # where the job's folder is mounted
ANSWER_S = 20


class DockerBackend(LocalBackend):
    """Runs jobs in containers: a local job in all but the worker's place. Outputs belong to the caller."""

    name: ClassVar[str] = "docker"

    def __init__(self, options: DockerOptions | None = None) -> None:
        self.docker = options or DockerOptions()
        state = self.docker.state_dir or state_folder("docker")
        super().__init__(LocalOptions(state_dir=state, keep_days=self.docker.keep_days, cache_mib=0))

    def plan(self, spec: JobSpec) -> Plan[LocalRequest]:
        """Say which container would run."""
        if spec.image is None:
            raise SpecError("the docker backend needs an image", hint=HINT)
        if spec.store is not None:
            raise SpecError("--store has no meaning on the docker backend", hint="leave it out")
        files = {"task": f"{JOB}/task.json", "bundle": f"{JOB}/bundle.tar.zst", "output": f"{JOB}/units"}
        worker = worker_command(PYTHON, **files, units=range(len(spec.units)))
        command = [*self._run(spec, "JOB", Path("JOB")), *worker]
        return Plan(spec, LocalRequest(tuple(command), tuple(spec.env)))

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Check the engine, the image where one is named, and the folder where jobs are kept."""
        engine = self.docker.engine
        if (refusal := _refusal([engine, "info"])) is not None:
            yield Check("engine", "failure", f"{engine} cannot run containers here: {refusal}", self._engine_hint())
        else:
            yield Check("engine", "ok", f"{engine} answers")
            if image and _refusal([engine, "image", "inspect", image]) is not None:
                yield Check("image", "failure", f"{engine} has no image {image}", f"`{engine} pull {image}`, or {HINT}")
            elif image:
                yield Check("image", "ok", f"{engine} has {image}")
        yield from super().doctor(store=store)

    def _fill(self, folder: JobFolder, spec: JobSpec) -> None:
        self._check_engine(spec)
        super()._fill(folder, spec)
        name = f"renderer-{folder.path.name}"
        prefix = self._run(spec, name, folder.path)
        end = [self.docker.engine, "rm", "--force", name]
        folder.write_launcher(Launcher(prefix=tuple(prefix), python=PYTHON, root=JOB, end=tuple(end)))

    def _run(self, spec: JobSpec, name: str, folder: Path) -> list[str]:
        """Write `docker run` up to the worker's command."""
        own = ["--user", f"{os.getuid()}:{os.getgid()}"]
        if self.docker.engine == "podman" and os.getuid():
            own.append("--userns=keep-id")
        command = [self.docker.engine, "run", "--rm", "--name", name, *own, "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        command += ["--mount", f"type=bind,source={folder},target={JOB}", "--env", f"TMPDIR={JOB}/scratch"]
        command += [word for key in spec.env for word in ("--env", key)]  # values come from the engine's environment
        if spec.resources.cpu:
            command += ["--cpus", f"{spec.resources.cpu:g}"]
        if spec.resources.memory_mib:
            command += ["--memory", f"{spec.resources.memory_mib}m"]
        return [*command, *self._gpus(spec), *self.docker.options, str(spec.image), "/usr/bin/tini", "-s", "--"]

    def _gpus(self, spec: JobSpec) -> list[str]:
        """Ask for the GPUs by number: the machine has what it has. Without a request none is given."""
        request = gpu_request.parse(spec.resources.gpu or "none")
        if not request:
            return ["--env", "NVIDIA_VISIBLE_DEVICES=void"]
        if any(choice.mig for choice in request.choices):
            raise SpecError("MIG slices cannot be asked for on the docker backend", hint="--gpu 1 takes what is there")
        if self.docker.engine == "docker":
            return ["--gpus", str(request.count)]
        return [word for index in range(request.count) for word in ("--device", f"nvidia.com/gpu={index}")]

    def _check_engine(self, spec: JobSpec) -> None:
        """Refuse when the engine does not answer or has no such image, before anything is written."""
        engine = self.docker.engine
        if (why := _refusal([engine, "info"])) is not None:
            raise BackendError(f"{engine} cannot run containers here: {why}", hint=self._engine_hint())
        if _refusal([engine, "image", "inspect", str(spec.image)]) is not None:
            hint = f"`{engine} pull {spec.image}`, or {HINT}"
            raise BackendError(f"{engine} has no image {spec.image}", hint=hint)

    def _engine_hint(self) -> str:
        other = "podman" if self.docker.engine == "docker" else "docker"
        return f"start it, or set docker.engine = {other!r} (RENDERER_DOCKER_ENGINE={other})"


def _refusal(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return "it is not installed"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        return f"it does not answer within {ANSWER_S} s"
    if done.returncode == 0:
        return None
    return next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
