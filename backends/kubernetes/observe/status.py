"""Reads the status of a job: its state, that of its units, and why it waits or failed. Changes nothing."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from backends.chunk_store.shards import join_statuses
from backends.errors import BackendError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError, ForbiddenError
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod, parse_pod
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.objects.termination import parse_unit_reports
from backends.kubernetes.observe import pending, queues
from backends.kubernetes.observe.reflector import FAILED
from backends.kubernetes.observe.unit_status import UnitView, read_unit
from backends.models import JobHandle, JobState, JobStatus, UnitCounts, UnitStatus
from backends.problem import Problem
from backends.untrusted.unit_states import UnitReported, parse_units
from backends.worker_protocol import UNITS, last_progress, split_label

MAX_PROGRESS_LOGS = 16  # running pods whose log is read for their progress while a client waits
ALL_LOGS = 1000  # the same for one status
MAX_LOG_READERS = 32
MAX_FAILED_PAGES = 20  # of failed pods that are read for a list of jobs: it says why the first ones failed
PROGRESS_TIMEOUT_S = 2.0  # after this time, no further log is read
LOG_END: Mapping[str, str | int] = {"container": names.CONTAINER, "tailLines": 40, "limitBytes": 16384}
SHARED_LOG_END: Mapping[str, str | int] = {"container": names.CONTAINER, "tailLines": 1000, "limitBytes": 2**18}


@dataclass(frozen=True, kw_only=True)
class _Waits:
    """Why the Job makes no pods (``job``), and why pods do not start (``pods``, by completion index).

    A problem that waiting does not solve has an exit code.
    """

    job: Problem | None = None
    pods: Mapping[int, Problem] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Problem, ...]:
        return ((self.job,) if self.job else ()) + tuple(self.pods.values())


def summarize_jobs(api: Api, namespace: str, jobs: Mapping[JobHandle, Job]) -> list[JobStatus]:
    """Return the statuses without the units, which is enough for a list of jobs. Reads pods of failed jobs alone."""
    found = [summarize_job(handle, job) for handle, job in jobs.items()]
    failed = (jobs[status.handle] for status in found if status.state is JobState.FAILED)
    unexplained = {job.name for job in failed if not job.exceeded_deadline_s}
    pods = _list_failed_pods(api, namespace, unexplained) if unexplained else {}
    for at, status in enumerate(found):
        job = jobs[status.handle]
        if pod := pods.get(job.name):
            found[at] = replace(status, problem=_with_exit_code(_explain_pod(job, pod, status.counts), status.state))
    return found


def summarize_job(handle: JobHandle, job: Job) -> JobStatus:
    """Return what the Job alone says of its status."""
    counts = UnitCounts(total=job.count, ended=job.ended_count, failed=job.failed_count)
    if job.shards:  # they are one unit
        counts = UnitCounts(total=1, ended=int(job.ended), failed=int(job.ended and counts.failed > 0))
    return _build_status(handle, job, (), _Waits(), counts)


def _list_failed_pods(api: Api, namespace: str, jobs: Collection[str]) -> Mapping[str, Pod]:
    """Return for each job the last failed pod of its first index that has one; nothing without permission.

    Of very many failed pods, only the first are read.
    """
    found: dict[str, Pod] = {}
    selector = f"{names.LABEL_MANAGED}={names.MANAGER},{names.LABEL_JOB_NAME}"
    with suppress(ForbiddenError):
        pages = api.list_pages(core_path(namespace, "pods"), labelSelector=selector, fieldSelector=FAILED)
        for page in itertools.islice(pages, MAX_FAILED_PAGES):
            for item in page.get("items") or []:
                if (name := item["metadata"]["labels"][names.LABEL_JOB_NAME]) not in jobs:
                    continue
                pod, known = parse_pod(item), found.get(name)
                if known is None or (pod.index, -pod.attempt) < (known.index, -known.attempt):
                    found[name] = pod
    return found


def _explain_pod(job: Job, pod: Pod, counts: UnitCounts) -> Problem | None:
    """Return why a job failed, by one of its failed pods."""
    units = job.units_of(pod.index)
    message = pod.terminated.message if pod.terminated else ""
    reported = parse_unit_reports(message, units) if job.per_pod > 1 else {}
    statuses = (read_unit(UnitView(job=job, index=unit, pod=pod, reported=reported.get(unit))) for unit in units)
    failed = next((unit for unit in statuses if unit.state is JobState.FAILED), None)
    return _explain_first(failed, counts.failed, counts.total) if failed else None


def read_status(
    api: Api, namespace: str, handle: JobHandle, snapshot: JobSnapshot, *, most_logs: int = MAX_PROGRESS_LOGS
) -> JobStatus:
    """Return the whole status.

    Reads events and nodes if something waits, and the last lines of up to ``most_logs`` logs for the progress.
    """
    job = snapshot.job
    waits = _Waits()
    if not job.ended:
        waits = _Waits(
            job=_explain_job(api, namespace, snapshot),
            pods=pending.explain_waiting_pods(api, namespace, snapshot),
        )
    reported = _read_reports(api, namespace, snapshot, most_logs)
    known = {job.pod_of(unit) for unit in reported}
    units = tuple(
        read_unit(
            UnitView(
                job=job,
                index=index,
                pod=snapshot.pods.get(job.pod_of(index)),
                wait=waits.pods.get(job.pod_of(index)),
                reported=reported.get(index),
                pod_reports=job.pod_of(index) in known,
            )
        )
        for index in range(job.count)
    )
    return _build_status(handle, job, units, waits)


def _explain_job(api: Api, namespace: str, snapshot: JobSnapshot) -> Problem | None:
    """Return why the Job makes no pods; None if it does, or if Kubernetes has not said why."""
    job = snapshot.job
    if job.suspended:
        return queues.explain_queue(api, namespace, job) if job.queue else _explain_suspension(job)
    return None if snapshot.pods else pending.explain_missing_pods(api, namespace, job)


def _explain_suspension(job: Job) -> Problem:
    if job.queue:
        return queues.describe_queue(job)
    hint = '`kubectl patch job NAME --type=merge -p \'{"spec": {"suspend": false}}\'` lets it go on'
    return Problem(message="the job is suspended", hint=hint)


def _build_status(
    handle: JobHandle, job: Job, units: tuple[UnitStatus, ...], waits: _Waits, counts: UnitCounts | None = None
) -> JobStatus:
    state = _derive_state(job, units, waits)
    if state is JobState.PENDING and counts and counts.ended:
        state = JobState.RUNNING
    problem = _EXPLAIN[state](job, units, waits)
    stays = f"its Job stays, with what its pods ask for, until its deadline: `renderer cancel {handle}` ends it now"
    return JobStatus(
        handle=handle,
        name=job.title,
        state=state,
        units=(join_statuses(units),) if job.shards and units else units,
        problem=_with_exit_code(problem, state),
        created=job.created,
        finished=job.end.changed if job.end else None,
        summary=counts,
        labels=job.marks,
        notes=(stays,) if state is JobState.FAILED and not job.ended else (),
    )


def _derive_state(job: Job, units: tuple[UnitStatus, ...], waits: _Waits) -> JobState:
    if job.succeeded:
        return JobState.SUCCEEDED
    if job.ended:
        return JobState.CANCELLED if job.cancelled else JobState.FAILED
    if _is_hopeless(units, waits):
        return JobState.FAILED
    has_begun = any(unit.state is JobState.RUNNING or unit.state.terminal for unit in units)
    return JobState.RUNNING if has_begun or job.has_ready_pods else JobState.PENDING


def _is_hopeless(units: tuple[UnitStatus, ...], waits: _Waits) -> bool:
    """Return whether no unit runs and waiting does not help, for example because the image does not exist."""
    running = any(unit.state is JobState.RUNNING for unit in units)
    return bool(waits.all) and not running and all(problem.exit_code is not None for problem in waits.all)


def _explain_success(_job: Job, _units: tuple[UnitStatus, ...], _waits: _Waits) -> Problem | None:
    return None


def _explain_cancellation(_job: Job, _units: tuple[UnitStatus, ...], _waits: _Waits) -> Problem | None:
    return Problem(message="the job was cancelled", exit_code=ExitCode.CANCELLED)


def _explain_failure(job: Job, units: tuple[UnitStatus, ...], waits: _Waits) -> Problem | None:
    if seconds := job.exceeded_deadline_s:
        return Problem(
            message=f"the job did not end within its deadline of {seconds} s",
            hint="raise --deadline; `renderer status` shows why a job waits, as long as it waits",
            exit_code=ExitCode.TIMEOUT,
        )
    if job.shards and units:
        units = (join_statuses(units),)
    failed = [unit for unit in units if unit.state is JobState.FAILED]
    if not failed:
        return _explain_wait(job, units, waits)
    if not job.shards and (most := job.max_failed) is not None:
        message = f"{len(job.failed_pods)} of {len(units)} failed, and --max-failed allows {most}"
        codes = [units[index].exit_code for index in sorted(job.failed_pods) if index < len(units)]
        return Problem(message=message, exit_code=next(iter(codes), None))
    return _explain_first(failed[0], len(failed), len(units))


def _explain_first(first: UnitStatus, failed: int, total: int) -> Problem:
    count = f" ({failed} of {total} failed)" if total > 1 else ""
    return Problem(
        message=f"{first.name}: {first.message}{count}",
        hint=first.hint,
        exit_code=first.exit_code,
        from_job=first.from_job,
    )


def _explain_wait(job: Job, _units: tuple[UnitStatus, ...], waits: _Waits) -> Problem | None:
    if job.suspended and not job.ended:
        return waits.job or _explain_suspension(job)
    return next(iter(waits.all), None)


_EXPLAIN: Mapping[JobState, Callable[[Job, tuple[UnitStatus, ...], _Waits], Problem | None]] = {
    JobState.PENDING: _explain_wait,
    JobState.RUNNING: _explain_wait,
    JobState.SUCCEEDED: _explain_success,
    JobState.FAILED: _explain_failure,
    JobState.CANCELLED: _explain_cancellation,
}


def _with_exit_code(problem: Problem | None, state: JobState) -> Problem | None:
    """Return the problem with the exit code of a job that has ended, or without one if the job goes on."""
    if state is JobState.FAILED:
        problem = problem or Problem(message="the job failed")
        return replace(problem, exit_code=ExitCode.LOST if problem.exit_code is None else problem.exit_code)
    return problem and replace(problem, exit_code=ExitCode.CANCELLED if state is JobState.CANCELLED else None)


def _read_reports(api: Api, namespace: str, snapshot: JobSnapshot, most_logs: int) -> Mapping[int, UnitReported]:
    """Return what pods report of their units: running ones in their logs, those that have ended in their messages."""
    job = snapshot.job
    found: dict[int, UnitReported] = {}
    read: dict[int, UnitReported] = {}
    if job.per_pod > 1:
        for pod in snapshot.pods.values():
            if pod.terminated:
                found |= parse_unit_reports(pod.terminated.message, job.units_of(pod.index))
    running = [pod for pod in snapshot.pods.values() if pod.started and not pod.ended]
    if job.ended or not running:
        return found
    pool = threads.ThreadPool(MAX_LOG_READERS)
    until = time.monotonic() + PROGRESS_TIMEOUT_S
    for pod in running[:most_logs]:
        pool.submit(functools.partial(_read_pod_reports, api, namespace, job, pod, until, read))
    pool.finish()
    return found | read


def _read_pod_reports(
    api: Api, namespace: str, job: Job, pod: Pod, until: float, found: dict[int, UnitReported]
) -> None:
    """Add what the end of a pod's log says of its units to ``found``, unless it is too late for that."""
    units = job.units_of(pod.index)
    if time.monotonic() > until:
        return
    with suppress(ApiError, BackendError):
        end = LOG_END if job.per_pod == 1 else SHARED_LOG_END
        read = api.stream_lines(core_path(namespace, "pods", pod.name, "log"), end)
        lines = [line.decode("utf-8", "replace") for line in read]
        if job.per_pod > 1:
            found.update(_parse_reports(lines, units))
        elif (progress := last_progress(lines)) is not None:
            found[units.start] = UnitReported(progress=progress)


def _parse_reports(lines: Iterable[str], units: range) -> Mapping[int, UnitReported]:
    """Return the states of a pod's units from the last line that has them, and their progress since then."""
    found: dict[int, UnitReported] = {}
    for line in lines:
        if line.startswith(UNITS):
            with suppress(ValueError, RecursionError):
                found = parse_units(json.loads(line[len(UNITS) :]), units)
        elif (labelled := split_label(line)) and (known := found.get(labelled[0])) and known.exit_code is None:
            progress = last_progress([labelled[1]])
            found[labelled[0]] = known if progress is None else replace(known, progress=progress)
    return found
