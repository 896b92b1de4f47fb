"""Builds the command line that starts a job's container."""

from __future__ import annotations

import os
from pathlib import Path

from backends.cache.client import VARIABLE as CACHE_VARIABLE
from backends.cache.launch import SOCKET as CACHE_SOCKET
from backends.docker.mig import ANY, find_slices
from backends.docker.options import DockerOptions
from backends.gpus import request as gpu_request
from backends.models import JobSpec
from backends.worker_protocol import ARCHIVE

JOB = "/job"  # below it the job's inputs and its work folder are mounted
SHELL = "sh"  # the container's first program, which runs START with the arguments
START = f"{JOB}/inputs/{ARCHIVE}"
PLANNED = "JOB"  # stands for the job's id and its folder in the command of a plan
PROCESSES = 4096  # and threads, of a job


def container_command(spec: JobSpec, options: DockerOptions, name: str, folder: Path) -> list[str]:
    """Return `docker run …` up to START. Raises SpecError for GPUs that docker cannot request.

    The container runs as the user, without capabilities and with a read-only root. Of the job's folder it has the
    inputs, which it cannot change, and the folder ``work``; what the host trusts is not there. Values of the job's
    variables are not part of the command: the engine takes them from its own environment. The worker is the
    container's first process, and no other process that the job could use has the worker's output open.
    """
    command = [options.engine, "run", "--rm", "--name", name, *_user(options.engine)]
    command += ["--read-only", "--tmpfs", "/tmp"]  # noqa: S108  # in the container
    command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
    command += ["--mount", f"type=bind,source={folder}/inputs,target={JOB}/inputs,readonly"]
    command += ["--mount", f"type=bind,source={folder}/work,target={JOB}/work", "--env", f"TMPDIR={JOB}/work/scratch"]
    command += ["--pids-limit", str(PROCESSES), "--log-driver", "none"]
    command += ["--env", "HOME=/tmp", "--env", "USER=renderer"]
    command += [word for key in spec.env for word in ("--env", key)]
    if spec.cache:  # a process of the host has the store's credentials, and answers at this socket
        command += ["--env", f"{CACHE_VARIABLE}={JOB}/work/scratch/{CACHE_SOCKET}"]
    if spec.resources.cpu:
        command += ["--cpus", f"{spec.resources.cpu:g}"]
    if spec.resources.memory_mib:
        memory = f"{spec.resources.memory_mib}m"
        command += ["--memory", memory, "--memory-swap", memory]  # the same: no swap beyond the memory
    command += [*request_gpus(spec, options.engine, planned=name == PLANNED), "--entrypoint", SHELL, *options.options]
    return [*command, str(spec.image)]


def removal_command(engine: str, name: str) -> tuple[str, ...]:
    """Return the command that ends a container at once, and removes it."""
    at_once = ("--time", "0") if engine == "podman" else ()  # docker never waits
    return (engine, "rm", "--force", *at_once, name)


def _user(engine: str) -> list[str]:
    user = ["--user", f"{os.getuid()}:{os.getgid()}"]
    return [*user, "--userns=keep-id"] if engine == "podman" and os.getuid() else user


def request_gpus(spec: JobSpec, engine: str, *, planned: bool) -> list[str]:
    """Return the options that request GPUs. Docker takes a number of whole GPUs, and MIG slices by CDI.

    A command that is only ``planned`` has a placeholder for slices, which only this machine's driver knows.
    """
    request = gpu_request.parse_gpu(spec.resources.gpu or "none")
    if not request:
        return ["--env", "NVIDIA_VISIBLE_DEVICES=void"]
    if profile := request.choices[0].mig:
        names = [ANY] * request.count if planned else find_slices(profile, request.count)
    elif engine == "docker":
        return ["--gpus", str(request.count)]
    else:
        names = [str(index) for index in range(request.count)]
    return [word for name in names for word in ("--device", f"nvidia.com/gpu={name}")]


def describe_gpus(spec: JobSpec) -> tuple[str, ...]:
    """Return what the user should know about the GPUs that the container gets."""
    request = gpu_request.parse_gpu(spec.resources.gpu or "none")
    if not request or request.choices[0].mig or request.choices[0].name == "any":
        return ()
    return (f"docker gives a job the first GPUs of this machine ({request.count}), whether they are {request} or not",)
