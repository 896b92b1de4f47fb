"""Downloads a stream of files from a pod, and continues it when the connection breaks."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from backends.errors import BackendError, OutputError, TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import OUTAGE_TIMEOUT_S, Api
from backends.kubernetes.client.errors import ApiError, ForbiddenError, NotFoundError, is_temporary
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.objects.pod import parse_pod
from backends.models import JobHandle
from backends.output_stream import read_length
from backends.untrusted import Limits

_log = logging.getLogger(__name__)

RETRY_INTERVAL_S = 0.5


class PodGoneError(OutputError):
    """The pod has ended, and its outputs are gone with it."""


def download_stream(
    api: Api, handle: JobHandle, pod: str, target: Path, limits: Limits, folder: str | None = None
) -> None:
    """Download the stream of a job's pod into ``target``, and continue at its end when the connection breaks.

    The stream holds the unit's outputs, or the ``folder`` of the store that the pod has mounted. Raises TransientError,
    ApiError, PodGoneError, OutputError for a stream that is damaged or that exceeds the limits, BackendError when this
    machine's disk is full.
    """
    namespace, began = handle.parts[1], time.monotonic()
    try:
        with target.open("ab+") as file:
            until = began + OUTAGE_TIMEOUT_S
            stream = _BoundedStream(file, limits)
            while not stream.is_complete():
                size = file.seek(0, os.SEEK_END)
                command = [*(names.TRANSFER_COMMAND if folder else names.POD_COMMAND), "send", str(size)]
                command += [folder] if folder else []
                try:
                    run_command(api, namespace, pod, command, output=stream.write)
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
            hint=f"free space there, then `renderer fetch {handle}`; the outputs wait in the pod for --collect-timeout",
        ) from error


class _BoundedStream:
    """A stream's file that takes no more bytes than the header of the stream announces."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file, self._limits = file, limits
        self._length: int | None = None
        self._next_check = 0  # the size of the file at which its header is read again

    def write(self, content: memoryview) -> None:
        """Append bytes. Raises OutputError."""
        self._file.write(content)
        size = self._file.tell()
        if self._length is None and size >= self._next_check:
            self._read_length()
            self._next_check = size * 2
        if self._length is not None and size > self._length:
            raise _more_than_announced()

    def is_complete(self) -> bool:
        """Return whether the file holds the whole stream. Raises OutputError for a damaged stream."""
        self._read_length()
        size = self._file.seek(0, os.SEEK_END)
        if self._length is not None and size > self._length:
            raise _more_than_announced()
        return size == self._length

    def _read_length(self) -> None:
        self._file.flush()
        self._length = read_length(self._file, self._limits)
        self._file.seek(0, os.SEEK_END)


def _more_than_announced() -> OutputError:
    return OutputError("the job sent more bytes than it announced", hint="submit the job again")


def _check_pod(api: Api, namespace: str, pod: str, error: ApiError) -> None:
    """Return if the pod still runs, so that the download can continue: a server or node failed only for a moment.

    Raises PodGoneError, and ApiError when the user may not run commands in it.
    """
    if isinstance(error, ForbiddenError) and not is_temporary(error):
        raise error
    with suppress(NotFoundError):
        if not parse_pod(api.get(core_path(namespace, "pods", pod))).ended:
            return
    raise PodGoneError(f"the outputs are gone with their pod {pod}", hint="submit the job again") from error
