"""The backend of Modal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from backends.base import Backend, Plan
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, OutputError, TransientError
from backends.modal import calls, doctor
from backends.modal.call_store import Record, Records, merged, now
from backends.modal.deploy import deployment
from backends.modal.gc import GarbageCollector
from backends.modal.observe import logs, status, unit_results
from backends.modal.options import ModalOptions
from backends.modal.request import CPU, MEMORY_MIB, VOLUME, ModalRequest, input_paths, make_request
from backends.modal.session import Session
from backends.modal.spawn import spawn
from backends.modal.volume import Files
from backends.models import Garbage, JobHandle, JobSpec, JobState, JobStatus, LogLine

CANCEL_S = 10.0  # a container ends its worker within three seconds


class ModalBackend(Backend[ModalRequest]):
    """Runs jobs as calls of one Modal function."""

    name: ClassVar[str] = "modal"

    def __init__(self, options: ModalOptions | None = None) -> None:
        self.options = options or ModalOptions()
        self.session = Session(self.options)
        self.files = Files(self.session, self.options.environment)
        self.records = Records(self.options.state_dir)

    def plan(self, spec: JobSpec) -> Plan[ModalRequest]:
        """Say which function would be called, and how."""
        return Plan(spec, make_request(spec, self.options))

    def submit(self, plan: Plan[ModalRequest]) -> JobHandle:
        """Deploy where needed, upload what is missing, call the function, remember the call."""
        request, spec = plan.request, plan.spec
        self.records.check_writable()
        volume = self.files.ensure()
        deployment.ensure(self.session, request.deployment, volume.object_id)
        task, bundle = input_paths(spec)
        self.files.put_missing(volume, {task: spec.payload.encode(), bundle: spec.bundle.data})
        record = self._record(request, spec)
        record = replace(record, call=spawn(self.session, self.files, request, record))
        try:
            self.records.save(record)
        except BaseException:
            calls.cancel(self.session, record.call, kill=True)
            raise
        return JobHandle(self.name, (record.app, record.call))

    def status(self, handle: JobHandle) -> JobStatus:
        """Ask Modal for what is still open; what has ended is known here."""
        return self._status(self._find(handle))

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Read the call's logs; once Modal has forgotten them, what the worker stored."""
        record = self._find(handle)
        line = None
        for line in logs.read(self.session, record, follow=follow):
            yield line
        if line is None and not status.refresh(self.session, self._files(record), record)[0].open:
            yield from logs.stored(self._files(record), record)

    def cancel(self, handle: JobHandle) -> None:
        """Cancel the call; on return it has ended."""
        record = self._find(handle)
        record, _ = status.refresh(self.session, self._files(record), record)
        if not record.open:
            return
        record = replace(record, cancelled=True)
        self.records.save(record)
        for kill in (False, True):
            calls.cancel(self.session, record.call, kill=kill)
            record = merged(record, unit_results.ended(self.session, record, record.open, wait=CANCEL_S), {})
            self.records.save(record)
            if not record.open:
                return
        raise TransientError(f"Modal has not ended {handle} yet", hint="look again with `renderer status`")

    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Copy the units' folders from the volume."""
        record = self._find(handle)
        self._files(record).get_units(record.call, into)
        found = [into / str(index) for index in range(len(record.units))]
        there = [folder for folder in found if folder.is_dir()]
        if not there:
            record, _ = status.refresh(self.session, self._files(record), record)
        if not there and any(outcome.state is JobState.SUCCEEDED for outcome in record.outcomes.values()):
            raise OutputError(
                f"what {handle} stored is no longer on the Modal volume {VOLUME!r}", hint="submit the job again"
            )
        return there

    def list(self) -> Iterator[JobStatus]:
        """Give the calls that this machine made."""
        return (self._status(record) for record in self.records.newest_first())

    def delete(self, handle: JobHandle) -> None:
        """Cancel the call, remove what it stored, forget it. Inputs stay for other jobs, until ``renderer gc``."""
        record = self._find(handle)
        self.cancel(handle)
        self._files(record).remove(f"jobs/{record.call}")
        self.records.remove(record.call)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check client, token, app and volume."""
        return doctor.run_checks(self.session, self.files)

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove old outputs of every machine's jobs, and old inputs, from the volume."""
        for _ in self.list():
            pass  # the records of jobs that have ended now say so
        collector = GarbageCollector(self.session, self.files, self.records)
        for garbage in list(collector.find(older_than)):
            yield garbage if dry_run else replace(garbage, removed=collector.remove(garbage))

    def _files(self, record: Record) -> Files:
        """Give the volume of the environment in which the job was submitted."""
        return Files(self.session, record.environment)

    def _record(self, request: ModalRequest, spec: JobSpec) -> Record:
        gpu = request.options.get("gpu")
        return Record(
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

    def _status(self, record: Record) -> JobStatus:
        known, (record, progress) = record, status.refresh(self.session, self._files(record), record)
        if record != known and self.records.load(record.call):
            self.records.save(record)
        return status.describe(JobHandle(self.name, (record.app, record.call)), record, progress)

    def _find(self, handle: JobHandle) -> Record:
        """Find the record here, or on the volume when another machine made the call, or the call itself at Modal."""
        if len(handle.parts) == 2 and handle.parts[1].startswith("fc-") and handle.parts[1].isascii():  # noqa: PLR2004
            app, call = handle.parts
            record = self.records.load(call) or self._of_another_machine(app, call)
            if record and record.app == app:
                return record
        raise JobNotFoundError(f"there is no job {handle}", hint="`renderer list --backend modal` shows yours")

    def _of_another_machine(self, app: str, call: str) -> Record | None:
        if not call.removeprefix("fc-").isalnum():
            return None
        content = self.files.read(f"jobs/{call}/job.json")
        if content is None:  # it has not started, and only Modal knows of it
            states = calls.input_states(self.session, call)
            return Record.unknown(app, call, self.options.environment, len(states)) if "PENDING" in states else None
        return replace(Record.from_json(content), call=call)
