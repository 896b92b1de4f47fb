"""The backend that runs jobs in containers of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from backends.base import Plan
from backends.diagnostics import Check
from backends.docker.container import JOB, PLANNED, START, container_command, describe_gpus, removal_command
from backends.docker.engine import Engine
from backends.docker.options import DockerOptions
from backends.docker.untrusted import SHARED_KERNEL, open_inputs, untrusted_command
from backends.errors import SpecError
from backends.image.worker_archive import build_worker_archive
from backends.local.documents import Launcher
from backends.local.folder import JobFolder
from backends.local.isolation.relay import relay_command
from backends.local.isolation.sandbox import SandboxLimits, choose_limits
from backends.local.supervised import SupervisedBackend, WorkerRequest
from backends.models import JobHandle, JobSpec
from backends.worker_protocol import WORKER, worker_command

IMAGE_HINT = "build one with `renderer image build`, and name it with --image"


class DockerBackend(SupervisedBackend):
    """Runs the worker in a container of docker or podman. The outputs belong to the user who submits."""

    name: ClassVar[str] = "docker"
    folder: ClassVar[str] = "docker"

    def __init__(self, options: DockerOptions | None = None) -> None:
        self.options = options or DockerOptions()
        self.engine = Engine(self.options.engine)
        super().__init__(self.options.state_dir, self.options.keep_days)

    def plan(self, spec: JobSpec) -> Plan[WorkerRequest]:
        """Return the container's command. It contains JOB in place of the job's id and folder."""
        if spec.image is None:
            raise SpecError("the docker backend needs an image", hint=IMAGE_HINT)
        if spec.store is not None:
            raise SpecError("the docker backend does not use --store", hint="leave it out")
        worker = worker_command(
            [START, WORKER],
            task=f"{JOB}/inputs/task.json",
            bundle=f"{JOB}/inputs/bundle.tar.gz",
            output=f"{JOB}/work/units",
            units=range(spec.processes),
            report=True,
        )
        command = [*self._container_command(spec, PLANNED, Path(PLANNED)), *worker]
        notes = (SHARED_KERNEL,) if spec.untrusted and self.engine.find_sandbox() is None else ()
        return Plan(spec, WorkerRequest(tuple(command), tuple(spec.env)), notes=(*describe_gpus(spec), *notes))

    def submit(self, plan: Plan[WorkerRequest]) -> JobHandle:
        """Write the job's folder and start its supervisor, which starts the container."""
        spec = plan.spec
        self.engine.require()
        self.engine.require_image(str(spec.image))
        if spec.untrusted:
            self.engine.require_seccomp()

        def make_launcher(folder: JobFolder) -> Launcher:
            name = f"renderer-{folder.id}"
            prefix = self._container_command(spec, name, folder.path)
            folder.worker.write_bytes(build_worker_archive(engine=spec.engine))
            if spec.untrusted:
                open_inputs(folder)
                prefix = [*relay_command(folder, self._limits(spec).outputs), *prefix]
            end = removal_command(self.options.engine, name)
            return Launcher(start=(START, WORKER), root=JOB, prefix=tuple(prefix), end=end)

        return self.start(spec, make_launcher, {})

    def _container_command(self, spec: JobSpec, name: str, folder: Path) -> list[str]:
        if not spec.untrusted:
            return container_command(spec, self.options, name, folder)
        return untrusted_command(spec, self.engine, name, folder, self._limits(spec), self.engine.find_sandbox())

    def _limits(self, spec: JobSpec) -> SandboxLimits:
        return choose_limits(spec.resources.memory_mib, self.limits)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Check the container engine, the image if one is named, and the folder of the jobs."""
        yield self.engine.check()
        if image:
            yield self.engine.check_image(image)
        yield from super().doctor(store=store)
