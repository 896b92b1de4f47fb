"""Reads logs that were stored with the outputs. They are still there when the pods are deleted."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from backends.errors import OutputError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.lines import split_lines
from backends.kubernetes.client.pod_exec import CommandError, run_command
from backends.kubernetes.objects.job import Job
from backends.kubernetes.transfer.outputs import find_store_folder
from backends.kubernetes.transfer.shelf import Shelf
from backends.kubernetes.transfer.spool import Spool
from backends.kubernetes.transfer.transfer_pod import run_transfer_pod
from backends.models import JobHandle
from backends.storage import Storage
from backends.untrusted import Limits, open_beneath
from backends.worker_protocol import LOG

LIMITS = Limits()


class StoredLogs(ExitStack):
    """The stored logs of one job. If they are in a PVC, one transfer pod reads them all, and ends on exit."""

    def __init__(self, api: Api, handle: JobHandle, job: Job) -> None:
        super().__init__()
        self._api, self._namespace, self._job = api, handle.parts[1], job
        self._spool = Spool(handle, job)
        self._store = find_store_folder(job)
        self._pod: str | None = None
        self._shelf = Shelf(job.shelf, job) if job.shelf else None
        self._streams = self._shelf.find_latest() if self._shelf else {}

    def read_lines(self, unit: int) -> Iterator[str]:
        """Yield the lines of a unit's log; nothing if no log was stored."""
        with tempfile.TemporaryDirectory() as folder:
            log = self._locate(unit, Path(folder))
            with suppress(FileNotFoundError), open_beneath(log.parent, log.name) as file:
                yield from (line.decode("utf-8", "replace").rstrip("\r") for line in _read_lines(file))

    def _locate(self, unit: int, scratch: Path) -> Path:
        """Return the path of a unit's log on this machine, after downloading it if it is in a store."""
        target = scratch / LOG
        if self._shelf:
            if stream := self._streams.get(self._job.pod_of(unit)):
                target.write_bytes(self._shelf.read_file(stream, f"{unit}/{LOG}", LIMITS.log))
            return target
        if self._store is None:
            return self._spool.unit_folder(unit) / LOG
        path = f"{self._store.outputs(self._job.uid)}/{unit}/{LOG}"
        if self._store.claim:
            self._read_from_claim(self._store.claim, f"{names.STORE}/{self._store.path}/{path}", target)
        else:
            with suppress(OutputError):
                Storage(self._store.uri_in_pod).get(path, target, most=LIMITS.log)
        return target

    def _read_from_claim(self, claim: str, path: str, target: Path) -> None:
        if self._pod is None:
            self._pod = self.enter_context(run_transfer_pod(self._api, self._namespace, self._job, claim))
        with target.open("wb") as file, suppress(CommandError):
            run_command(self._api, self._namespace, self._pod, ["head", "-c", str(LIMITS.log), path], output=file.write)


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    chunks = iter(lambda: file.read(2**16), b"")
    most = itertools.islice(chunks, LIMITS.log // 2**16)
    return split_lines(most, LIMITS.line)
