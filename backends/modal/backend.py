"""The backend that runs jobs at Modal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from backends.base import Backend, Plan
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, OutputError, SpecError, TransientError
from backends.modal import calls, doctor
from backends.modal.call_store import CallRecord, CallStore, now
from backends.modal.deploy import deployment
from backends.modal.gc import GarbageCollector
from backends.modal.observe import logs, status, unit_results
from backends.modal.options import ModalOptions
from backends.modal.request import CPU, MEMORY_MIB, VOLUME, ModalRequest, input_paths, make_request
from backends.modal.session import Session
from backends.modal.spawn import spawn_call
from backends.modal.volume import Files
from backends.models import Garbage, JobHandle, JobSpec, JobState, JobStatus, LogLine

CANCEL_TIMEOUT_S = 10.0  # a container ends its worker within three seconds


class ModalBackend(Backend[ModalRequest]):
    """Runs each job as one call of a Modal function, with an input for each unit."""

    name: ClassVar[str] = "modal"

    def __init__(self, options: ModalOptions | None = None) -> None:
        self.options = options or ModalOptions()
        self.session = Session(self.options)
        self.files = Files(self.session, self.options.environment)
        self.calls = CallStore(self.options.state_dir)

    def plan(self, spec: JobSpec) -> Plan[ModalRequest]:
        """Return which function would be called, and how."""
        if spec.untrusted:
            raise SpecError(
                "the modal backend cannot run untrusted jobs: it does not isolate them from the network yet",
                hint="use --backend local",
            )
        return Plan(spec, make_request(spec, self.options))

    def submit(self, plan: Plan[ModalRequest]) -> JobHandle:
        """Deploy the function if it is not current, upload missing inputs, call the function, and save its record."""
        request, spec = plan.request, plan.spec
        self.calls.check_writable()
        volume = self.files.ensure_volume()
        deployment.ensure_deployed(self.session, request.deployment, volume.object_id)
        task, bundle = input_paths(spec)
        self.files.put_missing(volume, {task: spec.payload.encode(), bundle: spec.bundle.data})
        record = self._make_record(request, spec)
        record = replace(record, call=spawn_call(self.session, self.files, request, record))
        try:
            self.calls.save(record)
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
        for line in logs.read_logs(self.session, record, follow=follow):
            yield line
        if line is None and not status.refresh(self.session, self._files_of(record), record)[0].open:
            yield from logs.read_stored_logs(self._files_of(record), record)

    def cancel(self, handle: JobHandle) -> None:
        """Cancel the call and wait for its end. Raises TransientError if Modal does not end it in time."""
        record = self._find(handle)
        record, _ = status.refresh(self.session, self._files_of(record), record)
        if not record.open:
            return
        record = replace(record, cancelled=True)
        self.calls.save(record)
        for kill in (False, True):
            calls.cancel_call(self.session, record.call, kill=kill)
            outcomes = unit_results.find_outcomes(self.session, record, record.open, wait=CANCEL_TIMEOUT_S)
            record = record.with_news(outcomes)
            self.calls.save(record)
            if not record.open:
                return
        raise TransientError(f"Modal has not ended {handle} yet", hint="look again with `renderer status`")

    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Download the units' folders from the volume."""
        record = self._find(handle)
        self._files_of(record).download_units(record.call, into)
        folders = [into / str(index) for index in range(len(record.units))]
        found = [folder for folder in folders if folder.is_dir()]
        if not found:
            record, _ = status.refresh(self.session, self._files_of(record), record)
        if not found and any(outcome.state is JobState.SUCCEEDED for outcome in record.outcomes.values()):
            message = f"the outputs of {handle} are no longer on the Modal volume {VOLUME!r}"
            raise OutputError(message, hint="submit the job again")
        return found

    def list(self) -> Iterator[JobStatus]:
        """Yield the calls that this machine made."""
        return (self._refresh(record) for record in self.calls.newest_first())

    def delete(self, handle: JobHandle) -> None:
        """Cancel the call, and remove its outputs and its record. Inputs stay until ``renderer gc`` removes them."""
        record = self._find(handle)
        self.cancel(handle)
        self._files_of(record).remove(f"jobs/{record.call}")
        self.calls.remove(record.call)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check client, token, app and volume."""
        return doctor.run_checks(self.session, self.files)

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove old outputs of every machine's jobs, and old inputs, from the volume."""
        for _ in self.list():
            pass  # now the records of jobs that have ended say so
        collector = GarbageCollector(self.session, self.files, self.calls)
        for garbage in list(collector.find(older_than)):
            yield garbage if dry_run else replace(garbage, removed=collector.remove(garbage))

    def _files_of(self, record: CallRecord) -> Files:
        """Return the files of the environment in which the job was submitted."""
        return Files(self.session, record.environment)

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
            inputs=tuple(request.inputs),
        )

    def _refresh(self, record: CallRecord) -> JobStatus:
        known, (record, progress) = record, status.refresh(self.session, self._files_of(record), record)
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
        content = self.files.read(f"jobs/{call}/job.json")
        if content is not None:
            return replace(CallRecord.from_json(content), call=call)
        states = calls.list_input_states(self.session, call)  # the job has not started, and only Modal knows of it
        return CallRecord.from_id(app, call, self.options.environment, len(states)) if "PENDING" in states else None
