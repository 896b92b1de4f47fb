"""Fetches and deletes the outputs of a job, which are in its pods, in the spool, in a PVC or in an object store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backends import output_stream as stream
from backends.chunk_store.shards import select_result
from backends.errors import OutputError, StoreMissingError
from backends.kubernetes.client.client import Api
from backends.kubernetes.manifests.store_uri import StoreFolder, parse_shelf_uri, parse_store_uri
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.transfer.collector import Collector
from backends.kubernetes.transfer.download import download_stream
from backends.kubernetes.transfer.shelf import Shelf
from backends.kubernetes.transfer.spool import Spool
from backends.kubernetes.transfer.transfer_pod import remove_folder, run_transfer_pod
from backends.models import JobHandle
from backends.storage import Storage
from backends.untrusted import (
    Limits,
    OutputCounter,
    check_relative_name,
    open_beneath,
    parse_result,
    read_bounded,
)
from backends.worker_protocol import RESULT, UnitResult


def find_store_folder(job: Job) -> StoreFolder | None:
    """Return the job's folder in its store or on its shelf; None for a job without both."""
    if job.shelf:
        return parse_shelf_uri(job.shelf, job.name)
    return parse_store_uri(job.store, job.name) if job.store else None


def open_collector(api: Api, handle: JobHandle, job: Job, limits: Limits) -> Collector:
    """Return what downloads the outputs that wait in pods of a job, if its spool exists on this machine."""
    shelf = Shelf(job.shelf, job) if job.shelf else None
    return Collector(api, Spool(handle, job), limits, shelf)


def fetch_outputs(
    api: Api,
    handle: JobHandle,
    snapshot: JobSnapshot,
    into: Path,
    limits: Limits,
    units: Collection[int] | None = None,
) -> list[Path]:
    """Copy the files of the ``units``, by default of all, to ``into/INDEX``, and return the folders.

    Raises OutputError, ApiError, BackendError.
    """
    job = snapshot.job
    if job.shards and (units is None or 0 in units):
        return _fetch_joined(api, handle, snapshot, into, limits)
    store = find_store_folder(job)
    wanted = range(job.count) if units is None else sorted(units)
    if store is None or job.shelf:
        collector = open_collector(api, handle, job, limits)
        collector.spool.create()
        for index in sorted({job.pod_of(unit) for unit in wanted}):
            if pod := snapshot.pods.get(index):
                collector.collect(pod)
        if collector.shelf:
            _fetch_from_shelf(collector.shelf, job, into, limits, wanted)
        else:
            _fetch_from_spool(collector.spool, job, into, wanted)
    else:
        folders = {into: store.outputs(job.uid)}  # of all units, or of each
        if units is not None:
            folders = {into / str(unit): f"{store.outputs(job.uid)}/{unit}" for unit in wanted}
        if store.claim:
            _fetch_from_claim(api, handle, job, store, folders, limits)
        else:
            _fetch_from_object_store(store, folders, limits)
    return [folder for unit in wanted if (folder := into / str(unit)).is_dir()]


def _fetch_joined(api: Api, handle: JobHandle, snapshot: JobSnapshot, into: Path, limits: Limits) -> list[Path]:
    """Copy the outputs of the shard that has joined the clips; those of others are logs and results."""
    whole = replace(snapshot, job=replace(snapshot.job, shards=None))
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        folders = fetch_outputs(api, handle, whole, Path(scratch), limits)
        shard = select_result((int(folder.name), _read_result(folder)) for folder in folders)
        if shard is None:
            return []
        (Path(scratch) / str(shard)).rename(into / "0")
    return [into / "0"]


def _read_result(folder: Path) -> UnitResult | None:
    with suppress(OSError, OutputError), open_beneath(folder, RESULT) as file:
        return parse_result(read_bounded(file, Limits().result), unit=folder.name)
    return None


def delete_stored_files(api: Api, handle: JobHandle, job: Job, store: StoreFolder) -> None:
    """Remove the job's folder from its store, if the bucket or PVC exists. Raises ApiError, BackendError."""
    with suppress(StoreMissingError):
        if store.claim:
            with run_transfer_pod(api, handle.parts[1], job, store.claim) as pod:
                remove_folder(api, handle.parts[1], pod, store.path)
        else:
            Storage(store.uri_in_pod).delete()


def _fetch_from_shelf(shelf: Shelf, job: Job, into: Path, limits: Limits, units: Collection[int]) -> None:
    missing, latest = [], shelf.find_latest()
    with tempfile.TemporaryDirectory(dir=_existing([into])) as scratch:
        for index in sorted({job.pod_of(unit) for unit in units}):
            folder = Path(scratch) / str(index)
            if index in latest:
                folder.mkdir()
                limits = shelf.unpack(latest[index], folder, limits)
            for unit in set(units).intersection(job.units_of(index)):
                if (new := folder / str(unit)).is_dir():
                    into.mkdir(exist_ok=True)
                    new.rename(into / str(unit))
                elif index in job.completed_pods:
                    missing.append(unit)
    if missing:
        raise OutputError(
            f"the outputs of {len(missing)} of {job.count} units are not in {job.shelf}",
            hint="they were removed there; submit the job again",
        )


def _fetch_from_spool(spool: Spool, job: Job, into: Path, units: Iterable[int]) -> None:
    missing = []
    for unit in units:
        if spool.unit_folder(unit).is_dir():
            shutil.copytree(spool.unit_folder(unit), into / str(unit))
        elif job.pod_of(unit) in job.completed_pods:
            missing.append(unit)
    if missing:
        raise OutputError(
            f"another machine has downloaded the outputs of {len(missing)} of {job.count} units, "
            "or they are gone with their pods",
            hint=f"run `renderer fetch {spool.handle}` where the job was submitted, or submit again; "
            "with --store every machine can fetch them",
        )


def _fetch_from_claim(
    api: Api, handle: JobHandle, job: Job, store: StoreFolder, folders: Mapping[Path, str], limits: Limits
) -> None:
    """Copy folders of the store, the values, to folders here, the keys."""
    with (
        tempfile.TemporaryDirectory(dir=_existing(folders)) as scratch,
        run_transfer_pod(api, handle.parts[1], job, store.claim or "") as pod,
    ):
        for number, (into, outputs) in enumerate(folders.items()):
            partial = Path(scratch) / f"stream-{number}"
            download_stream(api, handle, pod, partial, limits, f"{store.path}/{outputs}")
            into.mkdir(exist_ok=True)
            with partial.open("rb") as file:
                stream.unpack(file, into, limits)
            partial.unlink()


def _existing(folders: Iterable[Path]) -> Path:
    """Return a folder that exists, on the disk of these."""
    into = next(iter(folders))
    return into if into.is_dir() else into.parent


def _fetch_from_object_store(store: StoreFolder, folders: Mapping[Path, str], limits: Limits) -> None:
    storage = Storage(store.uri_in_pod)
    counter = OutputCounter(limits)
    for into, outputs in folders.items():
        for path in storage.list(outputs):
            name = check_relative_name(path.removeprefix(f"{outputs}/"))
            counter.add(storage.size(path) or 0)
            storage.get(path, into / name)
