"""What a job's units stored, wherever it lies: in pods that wait with it, collected here, in a claim or in a store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from backends.errors import OutputError, StoreMissingError
from backends.kubernetes import names
from backends.kubernetes.client import pod_exec
from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.manifests import store_uri
from backends.kubernetes.manifests.store_uri import Place
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.snapshot import JobView
from backends.kubernetes.transfer import collector, helper_pod, stream
from backends.kubernetes.transfer.collector import Spool
from backends.models import JobHandle
from backends.storage import Storage
from backends.worker_protocol import LOG


def place_of(job: Object) -> Place | None:
    """Give the job's folder in its store; None for a job without one."""
    store = (job["metadata"].get("annotations") or {}).get(names.ANNOTATION_STORE)
    return store_uri.parse(store, job["metadata"]["name"]) if store else None


def fetch(api: Api, handle: JobHandle, view: JobView, into: Path) -> list[Path]:
    """Copy every unit's files to ``into/INDEX``. Raises OutputError, ApiError, BackendError."""
    where = place_of(view.job)
    if where is None:
        _from_pods(api, handle, view, into)
    elif where.claim:
        _from_claim(api, handle, view.job, where, into)
    else:
        _from_store(where, into)
    return sorted((path for path in into.iterdir() if path.is_dir()), key=lambda path: int(path.name))


class KeptLogs(ExitStack):
    """Logs that were stored with the outputs: they outlive the pods. For a claim one pod reads all of them."""

    def __init__(self, api: Api, handle: JobHandle, job: Object) -> None:
        super().__init__()
        self._api, self._handle, self._job = api, handle, job
        self._where = place_of(job)
        self._reader: str | None = None

    def of(self, unit: int) -> Iterator[str]:
        """Read the log of a unit; nothing when none was stored."""
        path = f"{names.UNITS}/{unit}/{LOG}"
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / LOG
            if self._where is None:
                kept = Spool(self._handle, self._job).unit(unit) / LOG
            elif self._where.claim:
                self._read_claim(f"{names.STORE}/{self._where.path}/{path}", kept)
            else:
                with suppress(OutputError):
                    Storage(self._where.in_pod).get(path, kept)
            if kept.is_file():
                with kept.open(encoding="utf-8", errors="replace") as lines:
                    yield from (line.rstrip("\r\n") for line in lines)

    def _read_claim(self, path: str, into: Path) -> None:
        namespace = self._handle.parts[1]
        if self._reader is None:
            claimed = self._where.claim if self._where else None
            self._reader = self.enter_context(helper_pod.helper(self._api, namespace, self._job, claimed or ""))
        with into.open("wb") as file, suppress(pod_exec.CommandError):
            pod_exec.run(self._api, namespace, self._reader, ["cat", path], output=file.write)


def delete(api: Api, handle: JobHandle, job: Object, where: Place) -> None:
    """Remove the job's folder in its store; no error where the bucket or the claim is gone. Raises BackendError."""
    with suppress(StoreMissingError):
        if where.claim:
            with helper_pod.helper(api, handle.parts[1], job, where.claim) as pod:
                helper_pod.remove(api, handle.parts[1], pod, where.path)
        else:
            Storage(where.in_pod).delete()


def _from_pods(api: Api, handle: JobHandle, view: JobView, into: Path) -> None:
    spool = Spool(handle, view.job)
    spool.create()
    done, missing = set(unit_pods.indexes(view.job.get("status", {}).get("completedIndexes"))), []
    for unit in range(len(unit_pods.unit_names(view.job))):
        pod = view.pods.get(unit)
        if pod and pod.collectable:
            collector.collect(api, handle.parts[1], pod.name, spool, unit)
        if spool.unit(unit).is_dir():
            shutil.copytree(spool.unit(unit), into / str(unit))
        elif unit in done:
            missing.append(unit)
    if missing:
        raise OutputError(
            f"the outputs of {len(missing)} units were collected by another machine, or are gone with their pods",
            hint="fetch them there, or submit again; --store keeps outputs for every machine",
        )


def _from_claim(api: Api, handle: JobHandle, job: Object, where: Place, into: Path) -> None:
    namespace = handle.parts[1]
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        partial = Path(scratch) / "stream"
        with helper_pod.helper(api, namespace, job, where.claim or "") as pod:
            collector.download(api, namespace, pod, partial, f"{where.path}/{names.UNITS}")
        with partial.open("rb") as file:
            stream.unpack(file, into)


def _from_store(where: Place, into: Path) -> None:
    store = Storage(where.in_pod)
    for path in store.list(names.UNITS):
        target = into / Path(path).relative_to(names.UNITS)
        if not target.resolve().is_relative_to(into.resolve()):
            raise OutputError(f"the store holds a file {path!r}, which leads out of the folder")
        store.get(path, target)
