"""Records of jobs with a store, on the machine that submitted them.

A store keeps outputs longer than a cluster keeps a Job. With its record, a job that the cluster has deleted is read
from its store.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from backends.chunk_store.shard_results import explain_whole
from backends.chunk_store.shards import join_statuses
from backends.errors import OutputError, RendererError, StoreMissingError
from backends.exit_codes import ExitCode
from backends.files import make_private_folder, state_folder
from backends.kubernetes import names
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.objects.conditions import Condition, parse_time
from backends.kubernetes.objects.job import REMOVED, Job, parse_job
from backends.kubernetes.transfer.outputs import find_store_folder
from backends.kubernetes.transfer.shelf import Shelf
from backends.kubernetes.transfer.transfer_pod import run_transfer_pod
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.problem import Problem
from backends.storage import Storage
from backends.untrusted import Limits, parse_result
from backends.untrusted.state_files import read_state, write_state
from backends.worker_protocol import RESULT, UnitResult

KEEP_NAMES_S = 30 * 86400
NOTE = "the cluster has deleted the Job; this is what its store has"
_LOST = Problem(message="its store has no result of it, and the cluster has deleted the job", exit_code=ExitCode.LOST)
# Prints for each unit its index, the size of its result, and the result.
_PRINT_RESULTS = (
    'cd "$0" 2>/dev/null || exit 0; for unit in *; do file=$unit/result.json; [ -f "$file" ] || continue; '
    'size=$(wc -c <"$file"); [ "$size" -le "$1" ] || continue; echo "$unit $size"; head -c "$size" "$file"; done'
)


class JobRecord:
    """What this machine knows of one job with a store."""

    def __init__(self, handle: JobHandle) -> None:
        self.handle = handle
        self.path = _folder() / (",".join(quote(part, safe="") for part in handle.parts) + ".json")

    def write(self, manifest: JsonObject, job: Job) -> None:
        """Keep the manifest of the Job with what the cluster has added to it."""
        added = {"uid": job.uid, "creationTimestamp": job.created.isoformat() if job.created else None}
        content = {**manifest, "metadata": {**manifest["metadata"], **added}}
        with suppress(OSError):  # the job runs all the same
            make_private_folder(self.path.parent)
            write_state(self.path, json.dumps(content).encode())

    def read(self) -> Job | None:
        """Return the Job as one that has ended; None if there is no record."""
        try:
            job = parse_job(json.loads(read_state(self.path)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        ended = Condition(holds=True, reason=REMOVED, message="", changed=None)
        return replace(job, conditions={"Failed": ended}) if (job.store or job.shelf) and job.uid else None

    def export(self) -> JsonObject | None:
        """Return the record for another machine, without what only pods need: variables may be secrets."""
        try:
            content: JsonObject = json.loads(read_state(self.path))
        except (OSError, ValueError):
            return None
        return {**content, "spec": {**content["spec"], "template": {"spec": {"containers": [{}]}}}}

    def restore(self, content: JsonObject) -> Job | None:
        """Keep what another machine has exported, and return the Job as one that has ended. Raises OSError."""
        make_private_folder(self.path.parent)
        write_state(self.path, json.dumps(content).encode())
        return self.read()

    def write_names(self, units: Sequence[str]) -> None:
        """Keep the names of the units, of a Job that has too many for its annotation. Remove what is a month old."""
        with suppress(OSError):
            make_private_folder(self.path.parent)
            for other in self.path.parent.glob("*.names"):
                if time.time() - other.lstat().st_mtime > KEEP_NAMES_S:
                    other.unlink(missing_ok=True)
            write_state(self._names, json.dumps(list(units)).encode())

    def read_names(self, count: int) -> tuple[str, ...] | None:
        """Return the names of the ``count`` units; None if they are not known."""
        with suppress(OSError, ValueError):
            found = json.loads(read_state(self._names))
            return tuple(map(str, found)) if isinstance(found, list) and len(found) == count else None
        return None

    @property
    def _names(self) -> Path:
        return self.path.with_suffix(".names")

    def age(self) -> timedelta:
        """Return the time since the job was submitted."""
        with suppress(OSError):
            return timedelta(seconds=time.time() - self.path.stat().st_mtime)
        return timedelta(0)

    def delete(self) -> None:
        """Forget the job."""
        self.path.unlink(missing_ok=True)
        self._names.unlink(missing_ok=True)


def list_records() -> Iterator[JobRecord]:
    """Yield the records of this machine, the oldest first."""
    for path in sorted(_folder().glob("*.json")):
        parts = tuple(unquote(part) for part in path.stem.split(","))
        if len(parts) == 3:  # noqa: PLR2004 - context, namespace, name
            yield JobRecord(JobHandle(names.BACKEND, parts))


def _folder() -> Path:
    return state_folder(f"{names.BACKEND}-jobs")


def read_stored_status(api: Api, handle: JobHandle, job: Job) -> JobStatus:
    """Return the status of a job that the cluster has deleted, from the results in its store."""
    store = find_store_folder(job)
    assert store  # noqa: S101 - of each record
    try:
        results = _read_results(api, handle, job, store)
    except StoreMissingError as error:
        raise OutputError(f"{error}, and the cluster has deleted the job", hint="its outputs are gone") from error
    units = tuple(_build_unit(name, results.get(index)) for index, name in enumerate(job.units))
    if job.shards:
        units = (join_statuses(units),)
    failed = [unit for unit in units if unit.problem]
    finished = max((result.finished for result in results.values()), default="")
    return JobStatus(
        handle=handle,
        name=job.title,
        state=JobState.FAILED if failed else JobState.SUCCEEDED,
        units=units,
        problem=failed[0].problem and replace(failed[0].problem, message=f"{failed[0].name}: {failed[0].message}")
        if failed
        else None,
        created=job.created,
        finished=_parse_finished(finished),
        notes=(NOTE,),
    )


def _build_unit(name: str, result: UnitResult | None) -> UnitStatus:
    if result is not None and result.exit_code == 0:
        return UnitStatus(name=name, state=JobState.SUCCEEDED, progress=100.0, activity=explain_whole(result))
    failure = Problem(message="it failed", exit_code=result.exit_code) if result else _LOST
    problem = replace(result.error, exit_code=result.exit_code) if result and result.error else failure
    return UnitStatus(name=name, state=JobState.FAILED, problem=problem)


def _parse_finished(text: str) -> datetime | None:
    with suppress(ValueError):
        return parse_time(text)
    return None


def _read_results(api: Api, handle: JobHandle, job: Job, store: StoreFolder) -> Mapping[int, UnitResult]:
    """Return the results of the units that have stored one that is not damaged."""
    if job.shelf:
        read = _read_from_shelf(Shelf(job.shelf, job), job)
    else:
        read = _read_from_claim(api, handle, job, store) if store.claim else _read_from_object_store(job, store)
    found: dict[int, UnitResult] = {}
    for index, content in read:
        if index < job.count:
            with suppress(RendererError):
                found[index] = parse_result(content, unit=job.units[index])
    return found


def _read_from_shelf(shelf: Shelf, job: Job) -> Iterator[tuple[int, bytes]]:
    for index, path in shelf.find_latest().items():
        for unit in job.units_of(index):
            if content := shelf.read_file(path, f"{unit}/{RESULT}", Limits().result):
                yield unit, content


def _read_from_object_store(job: Job, store: StoreFolder) -> Iterator[tuple[int, bytes]]:
    storage, folder = Storage(store.uri_in_pod), store.outputs(job.uid)
    for path in storage.list(folder):
        unit, _, name = path.removeprefix(f"{folder}/").partition("/")
        if name == RESULT and unit.isascii() and unit.isdecimal():
            yield int(unit), storage.get_bytes(path, most=Limits().result)


def _read_from_claim(api: Api, handle: JobHandle, job: Job, store: StoreFolder) -> Iterator[tuple[int, bytes]]:
    path = f"{names.STORE}/{store.path}/{store.outputs(job.uid)}"
    answer = io.BytesIO()
    with run_transfer_pod(api, handle.parts[1], job, store.claim or "") as pod:
        command = ["sh", "-c", _PRINT_RESULTS, path, str(Limits().result)]
        run_command(api, handle.parts[1], pod, command, output=answer.write)
    answer.seek(0)
    for line in iter(answer.readline, b""):
        unit, _, size = line.strip().partition(b" ")
        if not (unit.isdigit() and size.isdigit()):
            return
        yield int(unit), answer.read(int(size))
