"""Removes environments of packages that stores have kept for a long time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from backends.errors import OutputError, StoreMissingError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.objects.job import Job
from backends.kubernetes.transfer.job_records import list_records
from backends.kubernetes.transfer.outputs import find_store_folder
from backends.kubernetes.transfer.transfer_pod import expire_folder, run_transfer_pod
from backends.models import Garbage, JobHandle
from backends.storage import Storage, remove_old


def find_package_stores() -> Iterator[tuple[JobHandle, Job, StoreFolder]]:
    """Yield each store that keeps packages of a job of this machine, with one such job."""
    known = set()
    for record in list_records():
        job = record.read()
        store = find_store_folder(job) if job and _keeps_packages(job) else None
        if job and store and (place := (record.handle.parts[:2], store.packages)) not in known:
            known.add(place)
            yield record.handle, job, store


def _keeps_packages(job: Job) -> bool:
    return any(each["name"] == names.PACKAGES_CONTAINER for each in job.pod_spec.get("initContainers") or ())


def collect_packages(
    api: Api, handle: JobHandle, job: Job, store: StoreFolder, *, older_than: timedelta, dry_run: bool
) -> Iterator[Garbage]:
    """Remove what was stored in the store's folder of packages more than ``older_than`` ago.

    Raises ApiError, RendererError.
    """
    folder = store.packages
    uri, age_s = f"{f'pvc://{folder.claim}' if folder.claim else folder.uri}/{folder.path}", older_than.total_seconds()
    with suppress(StoreMissingError):
        if folder.claim:
            with run_transfer_pod(api, handle.parts[1], job, folder.claim) as pod:
                answer = expire_folder(api, handle.parts[1], pod, folder.path, age_s, dry_run=dry_run)
            found = list(_parse(answer))
        else:
            now = time.time()
            old = remove_old(Storage(folder.uri_in_pod), age_s, dry_run=dry_run)
            found = [(file.path, file.size, now - file.modified) for file in old]
        for path, size, age in found:
            yield Garbage(path=f"{uri}/{path}", size=size, age=timedelta(seconds=age), removed=not dry_run)


def _parse(answer: bytes) -> Iterator[tuple[str, int, float]]:
    """Yield path, size and age of each file that a transfer pod has named. Raises OutputError."""
    try:
        for line in answer.splitlines():
            path, size, age = json.loads(line)
            yield str(path), int(size), float(age)
    except (ValueError, TypeError, OverflowError) as error:
        raise OutputError("the transfer pod's answer is damaged") from error
