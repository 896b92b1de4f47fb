"""Starts and kills one container: the client's own entry point in a mount namespace."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from modal_proto import api_pb2 as pb
from support.modal_server.api.service import TASK_HEADER
from support.modal_server.containers import memory
from support.modal_server.state import State, Task

# /opt/venv is this environment, in an image of ours it has the worker; everything else in /opt stays visible.
_SCRIPT = """
set -e
mkdir {folder}/opt
mount --rbind /opt {folder}/opt
mount -t tmpfs tmpfs /opt
for entry in {folder}/opt/*; do
  [ -d "$entry" ] && mkdir "/opt/${{entry##*/}}" && mount --rbind "$entry" "/opt/${{entry##*/}}"
done
mkdir -p /opt/venv
mount --bind {venv} /opt/venv
{own}
mount -t tmpfs tmpfs /mnt
{volumes}
{memory}
cd {folder}/root
exec setpriv --pdeathsig KILL {python} -m modal._container_entrypoint
"""


async def start(state: State, task: Task) -> asyncio.subprocess.Process:
    """Start the container."""
    root = task.folder / "root"
    root.mkdir(parents=True)
    (task.folder / "tmp").mkdir()
    _place_sources(state, task)
    arguments = task.folder / "arguments.pb"
    arguments.write_bytes(_arguments(state, task).SerializeToString())
    return await asyncio.create_subprocess_exec(
        "unshare",
        "--mount",
        *([] if os.geteuid() == 0 else ["--map-root-user"]),
        "sh",
        "-c",
        _script(state, task),
        env=_environment(state, task, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


def interrupt(task: Task) -> None:
    """Signal the container that it is preempted."""
    if task.process and task.process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(task.process.pid, signal.SIGINT)


def kill(task: Task) -> None:
    """End the container and all that runs in it."""
    if task.process:
        for pid in _descendants(task.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descendants(root: int) -> list[int]:
    """Return the processes of a container, in whatever sessions they are."""
    import psutil

    try:
        process = psutil.Process(root)
        return [root, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _place_sources(state: State, task: Task) -> None:
    for mount_id in task.function.definition.mount_ids:
        for file in state.mounts.get(mount_id, ()):
            target = task.folder / file.filename.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(state.path("files", file.sha256_hex), target)


def _arguments(state: State, task: Task) -> pb.ContainerArguments:
    return pb.ContainerArguments(
        task_id=task.task_id,
        function_id=task.function.function_id,
        app_id=task.function.app_id,
        function_def=task.function.definition,
        environment_name="main",
        app_layout=state.apps[task.function.app_id].layout,
    )


def _environment(state: State, task: Task, arguments: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MODAL_", "PYTHON", "XDG_STATE"))}
    for secret_id in task.function.definition.secret_ids:
        own |= state.secrets[secret_id]
    return own | {
        "MODAL_CONTAINER_ARGUMENTS_PATH": str(arguments),
        "MODAL_IS_REMOTE": "1",
        "MODAL_SERVER_URL": state.grpc_url,
        "MODAL_TASK_ID": task.task_id,
        "MODAL_IMAGE_ID": task.function.definition.image_id,
        "MODAL_ENVIRONMENT": "main",
        "MODAL_OVERRIDE_HEADERS": f"{TASK_HEADER}:{task.task_id}",
        "MODAL_HEARTBEAT_INTERVAL": "15",
        "MODAL_DISABLE_API_PROXY": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(task.folder / "tmp"),  # goes with the container, also if it is killed
        "PYTHONPATH": str(task.folder / "root"),
    }


def _is_own(state: State, image_id: str) -> bool:
    """Return whether an image was built from our Dockerfile, or from one that was."""
    image = state.images[image_id]
    ours = any("/opt/renderer /opt/renderer" in command for command in image.dockerfile_commands)
    return ours or any(_is_own(state, base.image_id) for base in image.base_images)


def _script(state: State, task: Task) -> str:
    volumes = []
    for mount in task.function.definition.volume_mounts:
        folder = state.path("volumes", mount.volume_id) / mount.sub_path.lstrip("/")
        path, source = shlex.quote(mount.mount_path), shlex.quote(str(folder))
        volumes.append(f"mkdir -p {path} {source}\nmount --bind {source} {path}")
        if mount.read_only:
            volumes.append(f"mount -o remount,bind,ro {path}")
    limit = ""
    if mib := state.faults.memory_mib:
        group = shlex.quote(str(memory.create_group(task.task_id, mib)))
        limit = f"echo $$ > {group}/cgroup.procs\nmount --bind {group} {memory.PARENT}"
    return _SCRIPT.format(
        folder=shlex.quote(str(task.folder)),
        venv=shlex.quote(sys.prefix),
        own="mkdir -p /opt/renderer/renderer" if _is_own(state, task.function.definition.image_id) else "",
        volumes="\n".join(volumes),
        memory=limit,
        python=shlex.quote(sys.executable),
    )
