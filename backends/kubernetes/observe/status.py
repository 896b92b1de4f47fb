"""The state of a Job and of its units, as every backend tells it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from backends.errors import BackendError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import core
from backends.kubernetes.observe import diagnosis, pending, unit_pods
from backends.kubernetes.observe.diagnosis_rules import Why
from backends.kubernetes.observe.snapshot import JobView
from backends.kubernetes.observe.unit_pods import Pod
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.worker_protocol import last_progress

MOST_PROGRESS = 16  # running units whose log is asked for their progress
TAIL = {"tailLines": 40, "limitBytes": 16384}


def summary(handle: JobHandle, job: Object) -> JobStatus:
    """Tell what the Job alone says, without its pods: for a list."""
    return _status(handle, JobView(job, {}), {}, None)


def read(api: Api, namespace: str, handle: JobHandle, view: JobView) -> JobStatus:
    """Tell everything; asks for events and nodes only when something waits."""
    waits = {} if view.ended else pending.of_pods(api, namespace, view)
    blocked = None if view.ended or view.pods else pending.of_job(api, namespace, view)
    return _status(handle, view, waits, blocked, _progress(api, namespace, view))


def _status(
    handle: JobHandle,
    view: JobView,
    waits: Mapping[int, Why],
    blocked: Why | None,
    progress: Mapping[int, float] | None = None,
) -> JobStatus:
    done = set(unit_pods.indexes(view.job.get("status", {}).get("completedIndexes")))
    lost = set(unit_pods.indexes(view.job.get("status", {}).get("failedIndexes")))
    known = {**dict.fromkeys(done, JobState.SUCCEEDED), **dict.fromkeys(lost, JobState.FAILED)}
    states = tuple(
        _unit(view, index, name, known.get(index), waits.get(index), (progress or {}).get(index))
        for index, name in enumerate(unit_pods.unit_names(view.job))
    )
    state = _job_state(view, states, (blocked, *waits.values()))
    why = _reason(view, states, state, blocked or next(iter(waits.values()), None))
    end = unit_pods.ended(view.job)
    return JobStatus(
        handle=handle,
        name=(view.job["metadata"].get("annotations") or {}).get(names.ANNOTATION_NAME, view.name),
        state=state,
        units=states,
        reason=why.message if why else None,
        hint=why.hint if why else None,
        exit_code=_exit_code(state, why),
        created=unit_pods.time(view.job["metadata"]["creationTimestamp"]),
        finished=unit_pods.time(end["lastTransitionTime"]) if end else None,
    )


def _unit(
    view: JobView, index: int, name: str, state: JobState | None, wait: Why | None, progress: float | None
) -> UnitStatus:
    pod = view.pods.get(index)
    attempt = pod.attempt if pod else 1
    if state is JobState.SUCCEEDED:
        return UnitStatus(name=name, state=state, progress=100.0, exit_code=ExitCode.OK, attempt=attempt)
    if state is JobState.FAILED or (view.ended and pod and pod.phase == "Failed"):
        why = diagnosis.failed(pod, view.memory) if pod else Why(message="its pod is gone", exit_code=ExitCode.LOST)
        return _worded(name, JobState.FAILED, why, attempt)
    if view.ended:
        if view.cancelled:
            return UnitStatus(name=name, state=JobState.CANCELLED, exit_code=ExitCode.CANCELLED, attempt=attempt)
        why = Why(message="it had not ended when the job did", exit_code=ExitCode.LOST)
        if seconds := _exceeded(view):
            why = Why(message=f"it had not ended within the job's deadline of {seconds} s", exit_code=ExitCode.TIMEOUT)
        return _worded(name, JobState.FAILED, why, attempt)
    if pod and pod.started and not pod.deleted:
        words = "rendered; its outputs wait to be collected" if pod.collectable else None
        return UnitStatus(name=name, state=JobState.RUNNING, progress=progress, message=words, attempt=attempt)
    if pod and pod.ended and wait is None:
        wait = Why(message=f"tried again after: {diagnosis.failed(pod, view.memory).message}")
    return _worded(name, JobState.PENDING, wait, attempt)


def _worded(name: str, state: JobState, why: Why | None, attempt: int) -> UnitStatus:
    if why is None:
        return UnitStatus(name=name, state=state, attempt=attempt)
    return UnitStatus(
        name=name,
        state=state,
        message=why.message,
        hint=why.hint,
        details=why.details,
        exit_code=why.exit_code,
        attempt=attempt,
    )


def _job_state(view: JobView, states: tuple[UnitStatus, ...], waits: tuple[Why | None, ...]) -> JobState:
    if unit_pods.condition(view.job, "Complete"):
        return JobState.SUCCEEDED
    if view.ended:
        return JobState.CANCELLED if view.cancelled else JobState.FAILED
    if _hopeless(states, waits):
        return JobState.FAILED
    begun = any(unit.state is JobState.RUNNING or unit.state.terminal for unit in states)
    return JobState.RUNNING if begun or view.job.get("status", {}).get("ready") else JobState.PENDING


def _hopeless(states: tuple[UnitStatus, ...], waits: tuple[Why | None, ...]) -> bool:
    """Tell whether nothing runs and everything that was tried waits for what cannot come, as a missing image."""
    found = [why for why in waits if why]
    running = any(unit.state is JobState.RUNNING for unit in states)
    return bool(found) and not running and all(why.final for why in found)


def _reason(view: JobView, states: tuple[UnitStatus, ...], state: JobState, waiting: Why | None) -> Why | None:
    if state is JobState.CANCELLED:
        return Why(message="the job was cancelled", exit_code=ExitCode.CANCELLED)
    if seconds := _exceeded(view):
        return Why(
            message=f"the job did not end within its deadline of {seconds} s",
            hint="--deadline gives it longer; `renderer status` tells what it waited for",
            exit_code=ExitCode.TIMEOUT,
        )
    failed = [unit for unit in states if unit.state is JobState.FAILED]
    if state is JobState.FAILED and failed:
        first = failed[0]
        more = f" ({len(failed)} of {len(states)} failed)" if len(states) > 1 else ""
        return Why(message=f"{first.name}: {first.message}{more}", hint=first.hint, exit_code=first.exit_code)
    if view.job["spec"].get("suspend") and not view.ended:
        queue = (view.job["metadata"].get("labels") or {}).get(names.LABEL_QUEUE)
        where = f"waits in the queue {queue!r}" if queue else "is suspended"
        return Why(message=f"the job {where}", hint="it goes on when the queue lets it in" if queue else None)
    return None if state is JobState.SUCCEEDED else waiting


def _exceeded(view: JobView) -> int | None:
    """Give the deadline in seconds that the job did not keep."""
    end = unit_pods.condition(view.job, "Failed")
    return view.job["spec"]["activeDeadlineSeconds"] if end and end.get("reason") == "DeadlineExceeded" else None


def _exit_code(state: JobState, why: Why | None) -> int | None:
    if state is JobState.SUCCEEDED:
        return ExitCode.OK
    if not state.terminal:
        return None
    return why.exit_code if why and why.exit_code is not None else ExitCode.LOST


def _progress(api: Api, namespace: str, view: JobView) -> dict[int, float]:
    """Read how far the running units are from the ends of their logs."""
    running = [pod for pod in view.pods.values() if pod.started and not pod.ended][:MOST_PROGRESS]
    if view.ended or not running:
        return {}

    def of(pod: Pod) -> tuple[int, float | None]:
        query: dict[str, Any] = {"container": names.CONTAINER, **TAIL}
        with suppress(ApiError, BackendError):
            lines = list(api.lines(core(namespace, "pods", pod.name, "log"), query))
            return pod.unit, last_progress(line.decode("utf-8", "replace") for line in lines)
        return pod.unit, None

    found = threads.results(functools.partial(of, pod) for pod in running)
    return {unit: value for unit, value in found if value is not None}
