"""Downloads a stream of files from a pod, and continues it when the connection breaks."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from backends import output_stream as stream
from backends.errors import BackendError, OutputError, TransientError
from backends.kubernetes.client.client import OUTAGE_TIMEOUT_S, Api
from backends.kubernetes.client.errors import ApiError, ForbiddenError, NotFoundError, is_temporary
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.objects.pod import parse_pod

_log = logging.getLogger(__name__)

POD_COMMAND = ["python", "-I", "-m", "backends.kubernetes.pod"]
RETRY_INTERVAL_S = 0.5


def download_stream(api: Api, namespace: str, pod: str, target: Path, folder: str | None = None) -> None:
    """Download a pod's stream to the file ``target``. What the file contains already is not downloaded again.

    The stream has the unit's outputs or, in a transfer pod, the ``folder`` of the PVC. When the connection breaks, the
    download continues. Raises TransientError, ApiError, OutputError if the pod does not exist any more, BackendError if
    this machine's disk is full.
    """
    began = time.monotonic()
    try:
        with target.open("ab+") as file:
            until = began + OUTAGE_TIMEOUT_S
            while not _is_complete(file):
                size = file.seek(0, os.SEEK_END)
                command = [*POD_COMMAND, "send", str(size), *([folder] if folder else [])]
                try:
                    run_command(api, namespace, pod, command, output=file.write)
                except (TransientError, ApiError) as error:
                    if isinstance(error, ApiError):
                        _check_pod(api, namespace, pod, error)
                    if time.monotonic() > until and file.tell() == size:
                        raise
                    time.sleep(RETRY_INTERVAL_S)
                if file.tell() > size:
                    until = time.monotonic() + OUTAGE_TIMEOUT_S
            _log.debug("downloaded %d bytes from pod %s in %.1f s", file.tell(), pod, time.monotonic() - began)
    except OSError as error:
        raise BackendError(
            f"cannot store the outputs in {target.parent}: {error.strerror}",
            hint="free space there, then `renderer fetch`; the outputs wait in the pod for --collect-timeout",
        ) from error


def _is_complete(file: BinaryIO) -> bool:
    file.flush()
    size = stream.read_length(file)
    return size is not None and file.seek(0, os.SEEK_END) >= size


def _check_pod(api: Api, namespace: str, pod: str, error: ApiError) -> None:
    """Return if the pod still runs, so that the download can continue: a server or node failed only for a moment.

    Raises OutputError if the pod has ended, ApiError if the user may not run commands in it.
    """
    if isinstance(error, ForbiddenError) and not is_temporary(error):
        raise error
    with suppress(NotFoundError):
        if not parse_pod(api.get(core_path(namespace, "pods", pod))).ended:
            return
    raise OutputError(f"the outputs are gone with their pod {pod}", hint="submit the job again") from error
