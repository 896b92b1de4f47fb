"""The common base of the backends of this machine: each job is a folder with a supervisor, which starts the worker."""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, ClassVar

from backends.base import Backend
from backends.cache.launch import serve_command
from backends.chunk_store.shards import label_line, select_result
from backends.debug_log import VARIABLE, active_level
from backends.diagnostics import Check
from backends.errors import DiskError
from backends.files import state_folder
from backends.local.documents import Launcher, Record, now
from backends.local.early.command import EarlySupervisor, supervisor_environment
from backends.local.folder import JobFolder, boot_id, write_json
from backends.local.job_store import damaged, not_found, open_store
from backends.local.status import KnownUnits, end_if_lost, has_ended, read_logs, read_status
from backends.local.turns import Ticket, draw_ticket, wait_first
from backends.local.webhooks import Deliveries
from backends.models import Garbage, JobHandle, JobSpec, JobStatus, LogLine
from backends.untrusted import OutputCounter, create_beneath
from backends.untrusted.trees import remove_tree, tree_size
from backends.worker_protocol import FILES, OUTPUT_DIR, RESULT, Output, UnitResult

CANCEL_TIMEOUT_S = 20.0  # most jobs end within a second
POLL_INTERVAL_S = 0.02
MOST_POLL_S, POLL_GROWTH = 0.25, 1.2  # reading the status takes time, which the job itself could use
COPY_BYTES = 2**20
MakeLauncher = Callable[[JobFolder], Launcher]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerRequest:
    """The worker's command, with paths in the job's folder, and the names of variables for the user's code.

    ``sandbox`` says what keeps an untrusted job apart, where that is not in the command.
    """

    command: tuple[str, ...]
    environment: tuple[str, ...]
    sandbox: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        content = {"command": self.command, "environment": self.environment}
        return json.dumps({**content, **({"sandbox": dict(self.sandbox)} if self.sandbox else {})}, indent=2)


class SupervisedBackend(Backend[WorkerRequest]):
    """A backend whose jobs are folders of this machine. Subclasses define ``plan`` and how the worker is started."""

    poll_s: ClassVar[float] = 0.05  # at the start of a job, and where the end of its supervisor cannot be waited for
    poll_s_per_unit: ClassVar[float] = 0.0002  # reading many units takes time, which the job itself could use

    folder: ClassVar[str]  # the name of the folder of all jobs, in the user's folder for state

    def __init__(self, state_dir: Path | None, keep_days: float) -> None:
        """Keep the jobs in ``state_dir``. All backends that have none of their own share the turns."""
        self.jobs = open_store(self.name, (state_dir or state_folder(self.folder)).absolute())
        self.webhooks = Deliveries(self.jobs.path)
        self.turns = (state_dir / ".turns" if state_dir else state_folder("turns")).absolute()
        self.keep = timedelta(days=keep_days)

    def start(
        self,
        spec: JobSpec,
        make_launcher: MakeLauncher,
        environment: Mapping[str, str],
        early: EarlySupervisor | None = None,
    ) -> JobHandle:
        """Write the job's folder and start its supervisor, which goes on when this process ends.

        ``environment`` has variables for the worker; the job's own variables override them. ``early`` is used instead
        of another supervisor unless the job has to wait for its turn. Raises DiskError if the folder cannot be
        written.
        """
        for _ in self.collect_garbage(older_than=self.keep):
            pass
        self.webhooks.start_messenger()  # for messages that were not sent because something was killed
        try:
            folder = self.jobs.create(spec.name)
        except OSError as error:
            raise DiskError("the job", self.jobs.path, error, hint="set RENDERER_LOCAL_STATE_DIR") from error
        try:
            # the lock first: a job without one looks like one whose supervisor is dead
            with folder.lock.open("wb") as lock, self._draw_ticket(spec) as ticket:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _write_inputs(folder, spec, {**environment, **spec.env})
                path = str(ticket.path) if ticket else None
                folder.write_launcher(replace(make_launcher(folder), ticket=path, cache=serve_command(spec)))
                if spec.webhook:
                    self.webhooks.create(folder.id, str(self.jobs.handle(folder)), spec.webhook)
                with _start_supervisor(folder, lock.fileno(), ticket, early) as waiting:
                    folder.write_record(_make_record(spec))
                    with suppress(BrokenPipeError):
                        waiting.write(b"\n")
        except BaseException as error:
            with suppress(OSError):
                remove_tree(folder.path)
                self.webhooks.remove(folder.id)
            if isinstance(error, OSError):
                raise DiskError("the job", self.jobs.path, error) from error
            raise
        return self.jobs.handle(folder)

    @contextmanager
    def _draw_ticket(self, spec: JobSpec) -> Iterator[Ticket | None]:
        """Yield the job's ticket, held until the end of the block; None for a job that does not wait for its turn.

        Scripts do not wait, because they may themselves wait for anything; nor does a job that another job submits.
        """
        ticket = None
        if spec.engine and OUTPUT_DIR not in os.environ:
            with suppress(OSError):  # better a job too many than none
                ticket = draw_ticket(self.turns)
        try:
            yield ticket
        except BaseException:
            if ticket:
                ticket.path.unlink(missing_ok=True)
            raise
        finally:
            if ticket:
                os.close(ticket.descriptor)

    def status(self, handle: JobHandle) -> JobStatus:
        """Read the job's folder."""
        folder = self.jobs.find(handle)
        try:
            status = read_status(folder, handle)
        except ValueError as error:
            raise damaged(folder, handle) from error
        return self._add_webhook(folder, status)

    def _add_webhook(self, folder: JobFolder, status: JobStatus) -> JobStatus:
        """Return the status with a note on a message that was not taken so far. Start a messenger if none runs."""
        if not status.state.terminal or not self.webhooks.has(folder.id):
            return status
        self.webhooks.start_messenger()
        note = self.webhooks.describe(folder.id)
        return replace(status, notes=(*status.notes, note)) if note else status

    def statuses(self, handle: JobHandle, *, until: float | None = None) -> Iterator[JobStatus]:
        """Yield the status again and again. Units that have ended are not read again."""
        folder = self.jobs.find(handle)
        known = KnownUnits()
        with closing(folder.watch_supervisor()) as supervisor:
            pause = self.poll_s
            while True:
                try:
                    status = read_status(folder, handle, known)
                except FileNotFoundError as error:
                    raise not_found(handle) from error
                except ValueError as error:
                    raise damaged(folder, handle) from error
                yield self._add_webhook(folder, status)
                left = math.inf if until is None else max(0.0, until - time.monotonic())
                supervisor.wait(min(pause + self.poll_s_per_unit * len(status.units), left))
                if supervisor.descriptor is not None:  # nothing but progress can be missed
                    pause = min(POLL_GROWTH * pause, MOST_POLL_S)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Read the units' logs; with ``follow`` until the job has ended."""
        folder = self.jobs.find(handle)
        record = folder.read_record()
        lines = read_logs(folder, len(record.units), follow=follow, is_running=lambda: not has_ended(folder))
        return map(label_line, lines) if record.shards else lines

    def cancel(self, handle: JobHandle) -> None:
        """Ask the supervisor to end the worker, and wait until the job has ended."""
        folder = self.jobs.find(handle)
        if not has_ended(folder):
            self._cancel(folder)

    def fetch(self, handle: JobHandle, into: Path, units: Collection[int] | None = None) -> list[Path]:
        """Copy the outputs that the units' results list. Other files of the job are not read."""
        folder = self.jobs.find(handle)
        counter = OutputCounter(self.limits, into)
        copied = []
        for unit, (source, result) in _list_results(folder, units).items():
            for output in result.outputs:
                counter.add(output.size)
                _copy_output(folder, source, output, into / str(unit))
            with create_beneath(into, f"{unit}/{RESULT}") as file:
                file.write(result.to_line())
            copied.append(into / str(unit))
        return copied

    def read_empty(self, handle: JobHandle, units: Collection[int]) -> Mapping[int, UnitResult]:
        """Return the results without outputs; ``fetch`` would make a folder and a file for each."""
        found = _list_results(self.jobs.find(handle), units)
        return {unit: result for unit, (_, result) in found.items() if not result.outputs}

    def list(self) -> Iterator[JobStatus]:
        """Yield the status of every job, newest first."""
        return self.jobs.statuses()

    def delete(self, handle: JobHandle) -> None:
        """Remove the job's folder."""
        folder = self.jobs.find_any(handle)
        end_if_lost(folder)
        if folder.is_supervised():
            self._cancel(folder)
        self.jobs.delete(folder)
        self.webhooks.remove(folder.id)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check the folder of the jobs."""
        existing = next(path for path in (self.jobs.path, *self.jobs.path.parents) if path.exists())
        if existing.is_dir() and os.access(existing, os.W_OK):
            yield Check("jobs", "ok", f"{self.jobs.count()} in {self.jobs.path}")
        else:
            yield Check("jobs", "warning", f"cannot write to {self.jobs.path}", "set RENDERER_LOCAL_STATE_DIR")

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove jobs that ended more than ``older_than`` ago, and what interrupted submits left behind."""
        for path, age in list(self.jobs.find_garbage(older_than)):
            size = tree_size(path)
            if not dry_run:
                with suppress(OSError):
                    remove_tree(path)
            yield Garbage(path=str(path), size=size, age=age, removed=not dry_run)

    def _cancel(self, folder: JobFolder) -> None:
        """Create the file ``cancel``, which the supervisor looks for, and wait until the job has ended."""
        folder.cancel.touch()
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while folder.is_supervised() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)


def _write_inputs(folder: JobFolder, spec: JobSpec, environment: Mapping[str, str]) -> None:
    folder.create()
    folder.task.write_text(spec.payload, "utf-8")
    folder.bundle.write_bytes(spec.bundle.data)
    write_json(folder.environment, environment, mode=0o600)


def _make_record(spec: JobSpec) -> Record:
    return Record(
        name=spec.name,
        units=spec.units * (spec.shards or 1),
        created=now(),
        boot=boot_id(),
        retries=spec.retries,
        timeout=spec.timeout.total_seconds(),
        max_failed=spec.max_failed,
        shards=spec.shards,
    )


def _start_supervisor(folder: JobFolder, lock: int, ticket: Ticket | None, early: EarlySupervisor | None) -> IO[bytes]:
    """Start the supervisor, or what becomes it when the job's turn has come. It inherits the locks.

    It waits for a byte in the stream that is returned. So there is no job without a supervisor, also if this process is
    killed before the job's record is written, or just after.
    """
    command: Sequence[str] = [sys.executable, "-I", "-m", "backends.local.supervisor", str(folder.path)]
    first = wait_first(ticket.path, folder.earlier, folder.cancel, command) if ticket else command
    locks = [lock, *([ticket.descriptor] if ticket else [])]
    with folder.supervisor_log.open("wb") as log:
        if early and first is command:
            with suppress(OSError):
                return _note_start(folder, early.process, early.hand_over(folder.path, [log.fileno(), *locks]))
        if early:
            early.end()
        supervisor = subprocess.Popen(
            first,
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env={**supervisor_environment(), **({VARIABLE: level} if (level := active_level()) else {})},
            pass_fds=locks,
            start_new_session=True,
        )
    assert supervisor.stdin  # noqa: S101  # it is a pipe
    return _note_start(folder, supervisor, supervisor.stdin)


def _note_start(folder: JobFolder, supervisor: subprocess.Popen[bytes], stream: IO[bytes]) -> IO[bytes]:
    """Write down which process the supervisor is, and reap it, should it end before this one; return the stream."""
    folder.pid.write_text(str(supervisor.pid))
    _log.debug("started supervisor %d of %s", supervisor.pid, folder.path)
    threading.Thread(target=supervisor.wait, daemon=True).start()
    return stream


def _list_results(folder: JobFolder, units: Collection[int] | None) -> Mapping[int, tuple[int, UnitResult]]:
    """Return for each of the units, by default all, that has ended the folder of its outputs, and its result."""
    record = folder.read_record()
    wanted = range(len(record.units)) if units is None or record.shards else frozenset(units)
    found = folder.read_results(record.units, wanted)
    if not record.shards:
        return {unit: (unit, result) for unit, result in found.items()}
    shard = select_result(found.items())
    return {} if shard is None else {0: (shard, found[shard])}


def _copy_output(folder: JobFolder, unit: int, output: Output, into: Path) -> None:
    """Copy as many bytes of an output as its result says: a file that grows meanwhile is cut, a short one stays so."""
    with (
        folder.open_output(unit, output.path) as source,
        create_beneath(into.parent, f"{into.name}/{FILES}/{output.path}") as target,
    ):
        left = output.size
        while left > 0 and (data := source.read(min(left, COPY_BYTES))):
            target.write(data)
            left -= len(data)
