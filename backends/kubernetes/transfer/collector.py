"""Collects outputs from pods that wait with them, and keeps them on this machine until they are fetched."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from backends.errors import BackendError, OutputError, RendererError, TransientError
from backends.files import state_folder
from backends.kubernetes import names
from backends.kubernetes.client import pod_exec
from backends.kubernetes.client.client import PATIENCE_S, Api, Object, passes
from backends.kubernetes.client.errors import ApiError, allowing
from backends.kubernetes.client.paths import core
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.transfer import stream
from backends.models import JobHandle

POD_COMMAND = ["python", "-I", "-m", "backends.kubernetes.pod"]
KEEP_S = 7 * 86400
PAUSE_S = 0.5


class Spool:
    """The outputs of one job on this machine. The folder exists where the job was submitted, or fetched."""

    def __init__(self, handle: JobHandle, job: Object) -> None:
        root = state_folder(names.BACKEND)
        parts = (*handle.parts, job["metadata"]["uid"])  # a job that replaces another one has outputs of its own
        self.path = root / ",".join(quote(part, safe="") for part in parts)

    @property
    def exists(self) -> bool:
        """Whether this machine is the one that collects."""
        return self.path.is_dir()

    def create(self) -> None:
        """Make this machine the one that collects; what was collected long ago goes."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.path.parent.iterdir():
            with suppress(OSError):
                if old != self.path and time.time() - old.stat().st_mtime > KEEP_S:
                    shutil.rmtree(old, ignore_errors=True)

    def unit(self, index: int) -> Path:
        """Where a unit's files are once all of them are there."""
        return self.path / str(index)

    def delete(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def lock(self, index: int) -> Iterator[bool]:
        """Let one process at a time collect a unit; gives false while another one does."""
        with (self.path / f"{index}.lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def collect(api: Api, namespace: str, pod: str, spool: Spool, unit: int) -> None:
    """Copy a waiting pod's outputs into the spool and let the pod end. Raises TransientError, OutputError."""
    with spool.lock(unit) as mine:
        if not mine:
            return
        if not spool.unit(unit).is_dir():
            try:
                _receive(api, namespace, pod, spool, unit)
            except pod_exec.NotYetError:
                return
        with suppress(ApiError, RendererError):  # the pod may end before the command has; otherwise it is told again
            pod_exec.run(api, namespace, pod, [*POD_COMMAND, "release"])


def _receive(api: Api, namespace: str, pod: str, spool: Spool, unit: int) -> None:
    partial, folder = spool.path / f"{unit}.stream", spool.path / f"{unit}.new"
    for last_try in (False, True):
        download(api, namespace, pod, partial)
        try:
            stream.empty(folder)
            with partial.open("rb") as file:
                stream.unpack(file, folder)
            break
        except OutputError:
            partial.unlink()
            if last_try:
                raise
    folder.rename(spool.unit(unit))
    partial.unlink()


def download(api: Api, namespace: str, pod: str, target: Path, folder: str | None = None) -> None:
    """Copy a pod's stream into ``target``, going on at its end when the connection breaks.

    Raises TransientError, ApiError, OutputError when the pod is gone, BackendError when there is no room here.
    """
    try:
        with target.open("ab+") as file:
            until = time.monotonic() + PATIENCE_S
            while not _whole(file):
                have = file.seek(0, os.SEEK_END)
                command = [*POD_COMMAND, "send", str(have), *([folder] if folder else [])]
                try:
                    pod_exec.run(api, namespace, pod, command, output=file.write)
                except (TransientError, ApiError) as error:
                    if isinstance(error, ApiError):
                        _check_there(api, namespace, pod, error)
                    if time.monotonic() > until and file.tell() == have:
                        raise
                    time.sleep(PAUSE_S)
                if file.tell() > have:
                    until = time.monotonic() + PATIENCE_S
    except OSError as error:
        raise BackendError(
            f"cannot keep the outputs in {target.parent}: {error.strerror}",
            hint="make room there; the outputs wait in the pod for a while",
        ) from error


def _whole(file: BinaryIO) -> bool:
    file.flush()
    size = stream.length(file)
    return size is not None and file.seek(0, os.SEEK_END) >= size


def _check_there(api: Api, namespace: str, pod: str, error: ApiError) -> None:
    """Tell a pod that is gone from an API server or a node that could not just now. Raises OutputError, ApiError."""
    if error.code == 403 and not passes(error):  # noqa: PLR2004 - HTTP's number
        raise error
    with allowing("NotFound"):
        if not unit_pods.pod(api.get(core(namespace, "pods", pod))).ended:
            return
    raise OutputError(f"the outputs are gone with their pod {pod}", hint="submit the job again") from error
