"""The backend that runs jobs as processes of this machine."""

from __future__ import annotations

from typing import ClassVar

from backends.base import Plan
from backends.files import cache_folder, state_folder
from backends.local.documents import PYTHON_WORKER, Launcher
from backends.local.early.command import take
from backends.local.folder import JobFolder
from backends.local.isolation import sandbox
from backends.local.options import LocalOptions
from backends.local.supervised import SupervisedBackend, WorkerRequest
from backends.models import JobHandle, JobSpec
from backends.worker_protocol import PACKAGES, worker_command


class LocalBackend(SupervisedBackend):
    """Runs jobs as processes of this machine, with the Python that runs this program."""

    name: ClassVar[str] = "local"
    folder: ClassVar[str] = "jobs"

    def __init__(self, options: LocalOptions | None = None) -> None:
        self.options = options or LocalOptions()
        super().__init__(self.options.state_dir, self.options.keep_days)

    def plan(self, spec: JobSpec) -> Plan[WorkerRequest]:
        """Return the worker's command. The plan's notes name settings that have no effect here."""
        given = {"gpu": spec.resources.gpu, "cpu": spec.resources.cpu, "store": spec.store, "image": spec.image}
        if spec.untrusted:
            sandbox.check_platform()
        else:
            given["memory"] = spec.resources.memory_mib
        ignored = [name for name, value in given.items() if value not in {None, "none"}]
        note = f"{', '.join(ignored)}: no effect on the local backend, where a job uses this machine as it is"
        command = worker_command(
            PYTHON_WORKER,
            task="inputs/task.json",
            bundle="inputs/bundle.tar.gz",
            output="work/units",
            units=range(spec.processes),
            report=True,
        )
        request = WorkerRequest(tuple(command), tuple(spec.env), self._describe_sandbox(spec) if spec.untrusted else {})
        return Plan(spec, request, notes=(note,) if ignored else ())

    def _describe_sandbox(self, spec: JobSpec) -> dict[str, object]:
        """Return what `submit --dry-run` shows of an untrusted job's sandbox."""
        limits = sandbox.choose_limits(spec.resources.memory_mib, self.limits)
        return {
            "program": sandbox.PROGRAM,
            "network": "none",
            "files": "the system's programs, fonts and this Python, read-only",
            "memory_mib": limits.memory_mib,
            "disk_mib": limits.disk_mib,
            "processes": limits.processes,
        }

    def submit(self, plan: Plan[WorkerRequest]) -> JobHandle:
        """Write the job's folder and start its supervisor; an untrusted job gets a sandbox and no chunk cache."""
        if not plan.spec.untrusted:
            early = take() if _can_start_early(plan.spec) else None
            return self.start(plan.spec, _make_launcher, self.worker_environment(), early)
        sandbox.require_sandbox()
        limits = sandbox.choose_limits(plan.spec.resources.memory_mib, self.limits)
        return self.start(plan.spec, lambda folder: sandbox.make_launcher(folder, limits), {})

    def worker_environment(self) -> dict[str, str]:
        """Return the environment variables that name the folders of its caches to the worker."""
        packages = {PACKAGES: str(cache_folder("packages").absolute())}
        if not self.options.cache_mib:
            return packages
        return {
            **packages,
            "RENDERER_SEGMENT_CACHE": str(cache_folder("segments").absolute()),
            "RENDERER_SEGMENT_CACHE_MIB": str(self.options.cache_mib),
            "RENDERER_SEGMENT_CACHE_KEY": str(state_folder("chunk-cache.key").absolute()),
        }


def _can_start_early(spec: JobSpec) -> bool:
    """Return whether the job's worker may import Manim before it knows the job."""
    return spec.engine and not (spec.packages or spec.shards or spec.env)


def _make_launcher(folder: JobFolder) -> Launcher:
    return Launcher(start=PYTHON_WORKER, root=str(folder.path))
