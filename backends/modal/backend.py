"""The backend that runs jobs at Modal."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from backends.base import Backend, Plan
from backends.chunk_store.shard_results import has_outputs
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, OutputError, TransientError
from backends.modal import calls, doctor
from backends.modal.call_store import CallRecord, CallStore, now
from backends.modal.deploy import deployment
from backends.modal.gc import GarbageCollector
from backends.modal.observe import logs, shards, status, unit_results
from backends.modal.options import ModalOptions
from backends.modal.request import (
    CPU,
    INPUTS_MOUNT,
    INPUTS_VOLUME,
    MEMORY_MIB,
    OUTPUTS_MOUNT,
    VOLUME,
    ModalRequest,
    make_request,
    read_inputs,
)
from backends.modal.session import Session
from backends.modal.spawn import spawn_call
from backends.modal.volume import Files
from backends.models import Garbage, JobHandle, JobSpec, JobState, JobStatus, LogLine
from backends.worker_protocol import RESULT

CANCEL_TIMEOUT_S = 10.0  # a container ends its worker within three seconds
COMMIT_TIMEOUT_S = 5.0  # how long after the end of a container its outputs may take to be on the volume
COMMIT_INTERVAL_S = 0.5


class ModalBackend(Backend[ModalRequest]):
    """Runs each job as one call of a Modal function, with an input for each unit."""

    name: ClassVar[str] = "modal"

    def __init__(self, options: ModalOptions | None = None) -> None:
        self.options = options or ModalOptions()
        self.session = Session(self.options)
        self.calls = CallStore(self.options.state_dir)

    def plan(self, spec: JobSpec) -> Plan[ModalRequest]:
        """Return which function would be called, and how."""
        given = {"python": self.options.python, "registry_secret": self.options.registry_secret}
        unused = [name for name, value in given.items() if value and not spec.image]
        notes = (f"{', '.join(unused)}: no effect without --image",) if unused else ()
        return Plan(spec, make_request(spec, self.options), notes=notes)

    def submit(self, plan: Plan[ModalRequest]) -> JobHandle:
        """Deploy the function if it is not current, upload the inputs, call the function, and save its record."""
        request, spec = plan.request, plan.spec
        self.calls.check_writable()
        inputs, outputs = self._inputs(self.options.environment), self._outputs(self.options.environment)
        volumes = {INPUTS_MOUNT: inputs.ensure_volume(), OUTPUTS_MOUNT: outputs.ensure_volume()}
        deployment.ensure_deployed(self.session, request.deployment)
        record = self._make_record(request, spec)
        folder = f"inputs/{record.folder}"
        inputs.put({f"{folder}/{name}": data for name, data in read_inputs(spec).items()})
        mounts = {
            INPUTS_MOUNT: volumes[INPUTS_MOUNT].with_mount_options(read_only=True, sub_path=f"/{folder}"),
            OUTPUTS_MOUNT: volumes[OUTPUTS_MOUNT].with_mount_options(sub_path=f"/{record.outputs}"),
        }
        record = replace(record, call=spawn_call(self.session, inputs, mounts, request, record))
        try:
            self.calls.save(record)
            inputs.put({f"calls/{record.call}/{record.folder}.json": record.to_json().encode()})
        except BaseException:
            calls.cancel_call(self.session, record.call, kill=True)
            raise
        return JobHandle(self.name, (record.app, record.call))

    def status(self, handle: JobHandle) -> JobStatus:
        """Return the status. Only units that have not ended are asked about at Modal; the others are in the record."""
        return self._refresh(self._find(handle))

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield the lines of the call's log; if Modal has deleted it, those of the copy that the worker stored."""
        record = self._find(handle)
        line = None
        read_logs = shards.read_logs if record.shards else logs.read_logs
        for line in read_logs(self.session, record, self.limits, follow=follow):
            yield line
        outputs = self._outputs(record.environment)
        if line is None and not status.refresh(self.session, outputs, record)[0].open:
            yield from (shards if record.shards else logs).read_stored_logs(outputs, record)

    def cancel(self, handle: JobHandle) -> None:
        """Cancel the call and wait for its end. Raises TransientError if Modal does not end it in time."""
        record = self._find(handle)
        record, _ = status.refresh(self.session, self._outputs(record.environment), record)
        if not record.open and not (record.shards and record.cancelled):
            return
        record = replace(record, cancelled=True)
        self.calls.save(record)
        for kill in (False, True):
            calls.cancel_call(self.session, record.call, kill=kill)
            outcomes = unit_results.find_outcomes(self.session, record, record.open, wait=CANCEL_TIMEOUT_S)
            record = record.with_news(outcomes)
            self.calls.save(record)
            if not record.open:
                if record.shards:
                    shards.end_calls(self.session, record)
                return
        raise TransientError(f"Modal has not ended {handle} yet", hint=f"look again with `renderer status {handle}`")

    def fetch(self, handle: JobHandle, into: Path, units: Collection[int] | None = None) -> list[Path]:
        """Download the units' folders from the volume."""
        record = self._find(handle)
        outputs = self._outputs(record.environment)
        record, _ = status.refresh(self.session, outputs, record)
        wanted = range(len(record.units)) if units is None else sorted(units)
        self._wait_for_commit(outputs, record, wanted)
        if record.shards:
            _download_joined(outputs, record, into)
        else:
            outputs.download_units(record.outputs, wanted, into)
        folders = [into / str(index) for index in wanted]
        found = [folder for folder in folders if folder.is_dir()]
        ended = [record.outcomes[index] for index in wanted if index in record.outcomes]
        if not found and any(outcome.state is JobState.SUCCEEDED for outcome in ended):
            message = f"the outputs of {handle} are no longer on the Modal volume {VOLUME!r}"
            raise OutputError(message, hint="submit the job again")
        return found

    def _wait_for_commit(self, outputs: Files, record: CallRecord, units: Collection[int]) -> None:
        """Return once the results of all ``units`` that succeeded are on the volume, or do not come any more.

        A container that may not use Modal's API cannot always store its outputs before it answers. Modal does that
        when the container ends, which is at once: each container takes one input only.
        """
        outcomes = {index: record.outcomes[index] for index in units if index in record.outcomes}
        done = [index for index, outcome in outcomes.items() if outcome.state is JobState.SUCCEEDED]
        ended = datetime.fromisoformat(record.finished) if record.finished else datetime.now(UTC)
        while (datetime.now(UTC) - ended).total_seconds() < COMMIT_TIMEOUT_S:
            if record.shards and (not done or _has_joined(outputs, record)):
                return
            there = {entry.path.strip("/") for entry in outputs.list(record.outputs)}
            if not record.shards and there.issuperset(f"{record.outputs}/{index}/{RESULT}" for index in done):
                return
            time.sleep(COMMIT_INTERVAL_S)

    def list(self) -> Iterator[JobStatus]:
        """Yield the calls that this machine made."""
        return (self._refresh(record) for record in self.calls.newest_first())

    def delete(self, handle: JobHandle) -> None:
        """Cancel the call, and remove its inputs, its outputs and its record."""
        record = self._find(handle)
        self.cancel(handle)
        self._outputs(record.environment).remove(record.outputs)
        if record.folder:
            inputs = self._inputs(record.environment)
            inputs.remove(f"inputs/{record.folder}")
            inputs.remove(f"calls/{record.call}")
        self.calls.remove(record.call)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check client, token, app and volume."""
        environment = self.options.environment
        return doctor.run_checks(self.session, self._outputs(environment), self._inputs(environment))

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove from the volumes what old jobs of every machine left."""
        for _ in self.list():
            pass  # reading a status updates the record of a job that has ended
        environment = self.options.environment
        collector = GarbageCollector(self.session, self._outputs(environment), self._inputs(environment), self.calls)
        for garbage in list(collector.find(older_than)):
            yield garbage if dry_run else replace(garbage, removed=collector.remove(garbage))

    def _outputs(self, environment: str | None) -> Files:
        return Files(self.session, environment, VOLUME, self.limits)

    def _inputs(self, environment: str | None) -> Files:
        return Files(self.session, environment, INPUTS_VOLUME, self.limits)

    def _make_record(self, request: ModalRequest, spec: JobSpec) -> CallRecord:
        gpu = request.options.get("gpu")
        return CallRecord(
            call="",
            app=request.deployment.app,
            environment=self.options.environment,
            name=spec.name,
            units=spec.units,
            created=now(),
            gpus=(gpu,) if gpu else request.deployment.gpus,
            cpu=request.options.get("cpu", CPU),
            memory_mib=request.options.get("memory", MEMORY_MIB),
            folder=secrets.token_hex(16),  # no other job can guess it
            shards=spec.shards,
        )

    def _refresh(self, record: CallRecord) -> JobStatus:
        outputs = self._outputs(record.environment)
        known, (record, progress) = record, status.refresh(self.session, outputs, record)
        if record != known and self.calls.load(record.call):
            self.calls.save(record)
        return status.describe(JobHandle(self.name, (record.app, record.call)), record, progress)

    def _find(self, handle: JobHandle) -> CallRecord:
        """Return the call's record from this machine, from the volume, or else made of what Modal knows about it."""
        if len(handle.parts) == 2 and handle.parts[1].startswith("fc-") and handle.parts[1].isascii():  # noqa: PLR2004
            app, call = handle.parts
            record = self.calls.load(call) or self._find_elsewhere(app, call)
            if record and record.app == app:
                return record
        raise JobNotFoundError(f"there is no job {handle}", hint="`renderer list --backend modal` shows yours")

    def _find_elsewhere(self, app: str, call: str) -> CallRecord | None:
        if not call.removeprefix("fc-").isalnum():
            return None
        environment = self.options.environment
        inputs = self._inputs(environment)
        for entry in inputs.list(f"calls/{call}"):
            with suppress(ValueError, TypeError, KeyError):
                return replace(CallRecord.from_json(inputs.read(entry.path) or b""), call=call)
        states = calls.list_input_states(self.session, call)
        if "PENDING" in states or (states and self._outputs(environment).list(f"jobs/{call}")):
            # its submit did not end, or an older version submitted it: only Modal knows of it
            return CallRecord.from_id(app, call, environment, len(states))
        return None


def _has_joined(outputs: Files, record: CallRecord) -> bool:
    found = shards.find_result(outputs, record)
    return found is not None and has_outputs(found[1])


def _download_joined(outputs: Files, record: CallRecord, into: Path) -> None:
    """Download the folder with the joined clips, or of a shard that failed, as that of the scene."""
    if found := shards.find_result(outputs, record):
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            outputs.download_units(record.outputs, [found[0]], Path(scratch))
            (Path(scratch) / str(found[0])).rename(into / "0")
