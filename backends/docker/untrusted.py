"""Builds the command line of an untrusted job's container: of the host only the inputs, and limits on all else."""

from __future__ import annotations

from pathlib import Path

from backends.docker.container import JOB, PLANNED, PROCESSES, SHELL, START, request_gpus
from backends.docker.engine import Engine
from backends.local.folder import JobFolder
from backends.local.isolation.sandbox import USER, SandboxLimits
from backends.models import JobSpec
from backends.untrusted import OPEN_FILES

SHARED_KERNEL = (
    "the container uses this machine's kernel, because gVisor is not there: install runsc for a kernel of its own"
)


def untrusted_command(
    spec: JobSpec, engine: Engine, name: str, folder: Path, limits: SandboxLimits, runtime: str | None
) -> list[str]:
    """Return `docker run …` up to START.

    The worker writes to file systems in memory, and sends what is to be kept. Its user is another one than any of the
    host, also where root submits the job.
    """
    memory, disk = f"{limits.memory_mib}m", f"{limits.disk_mib}m"
    command = [engine.name, "run", "--rm", "--name", name]
    if runtime:
        command += ["--runtime", runtime]
        command += ["--runtime-flag", "network=none"] if engine.name == "podman" else []
    command += ["--user", f"{USER}:{USER}", "--network", "none", "--ipc", "private", "--log-driver", "none"]
    command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
    command += ["--pids-limit", str(limits.processes), "--memory", memory, "--memory-swap", memory]
    command += [
        "--ulimit",
        f"nofile={OPEN_FILES}:{OPEN_FILES}",
        "--ulimit",
        "core=0:0",
        "--ulimit",
        f"nproc={PROCESSES}:{PROCESSES}",
    ]
    command += ["--shm-size", disk, "--read-only"]
    command += ["--mount", f"type=bind,source={folder}/inputs,target={JOB}/inputs,readonly"]
    for path in ("/tmp", f"{JOB}/work"):  # noqa: S108  # in the container
        command += ["--tmpfs", f"{path}:rw,nosuid,nodev,size={disk},mode=1777"]
    command += ["--env", "TMPDIR=/tmp", "--env", "HOME=/tmp", "--env", "USER=renderer"]
    command += [word for key in spec.env for word in ("--env", key)]
    if spec.resources.cpu:
        command += ["--cpus", f"{spec.resources.cpu:g}"]
    command += [*request_gpus(spec, engine.name, planned=name == PLANNED), "--entrypoint", SHELL]
    return [*command, str(spec.image), START, "backends.local.isolation.seccomp", SHELL]


def open_inputs(folder: JobFolder) -> None:
    """Let the container's user read the inputs. Other users of the host cannot enter the folder above them."""
    folder.inputs.chmod(0o755)
    for file in (folder.task, folder.bundle, folder.worker):
        file.chmod(0o644)
