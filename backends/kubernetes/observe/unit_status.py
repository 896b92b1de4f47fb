"""Finds out the status of one unit, from its Job and from the pod of its last attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backends.exit_codes import ExitCode
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.objects.termination import parse_report
from backends.kubernetes.observe import diagnosis
from backends.models import JobState, UnitStatus
from backends.problem import Problem
from backends.untrusted.unit_states import UnitReported
from backends.worker_protocol import RETRIED

MIN_PROGRESS = 2.0  # percent: from less, the time that is left cannot be estimated
MIN_RUN_S, MAX_RUN_S = 3.0, 30 * 86400.0


@dataclass(frozen=True, kw_only=True)
class UnitView:
    """Everything that is known about one unit.

    ``wait`` is why its pod does not start; ``reported`` is what its pod reports of it. ``pod_reports`` is false while
    nothing is known of any unit of the pod.
    """

    job: Job
    index: int
    pod: Pod | None
    wait: Problem | None = None
    reported: UnitReported | None = None
    pod_reports: bool = True

    @property
    def is_shared(self) -> bool:
        """Whether its pod runs other units as well."""
        return self.job.per_pod > 1

    @property
    def reported_code(self) -> int | None:
        """The exit code that a pod with several units reports of it."""
        return self.reported.exit_code if self.is_shared and self.reported else None

    @property
    def succeeded(self) -> bool:
        """Whether the Job counts its pod as completed, or its pod, which other units still need, reports success."""
        return self.job.pod_of(self.index) in self.job.completed_pods or self.reported_code == 0

    @property
    def failed(self) -> bool:
        """Whether it has failed for good. Only valid after ``succeeded``."""
        cancelled = self.job.cancelled and self.pod is not None and self.pod.deleted  # what ended the pod
        pod_failed = self.job.ended and self.pod is not None and self.pod.phase == "Failed" and not cancelled
        if self.job.pod_of(self.index) in self.job.failed_pods or pod_failed:
            return True
        return bool(self.reported_code) and self.reported_code not in RETRIED

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the Job before the unit ended. Only valid after ``succeeded`` and ``failed``."""
        return self.job.ended and self.job.cancelled

    @property
    def cut_off(self) -> bool:
        """Whether the Job ended before the unit did. Only valid after ``succeeded`` and ``failed``."""
        return self.job.ended

    @property
    def running(self) -> bool:
        """Whether its container runs, or has succeeded but the Job does not count it yet."""
        if self.is_shared and self.pod_reports and (self.reported is None or self.reported.exit_code is not None):
            return False  # it waits for the other units of its pod, or for another attempt
        return self.pod is not None and not self.pod.deleted and (self.pod.started or self.pod.succeeded)


def read_unit(unit: UnitView) -> UnitStatus:
    """Return the unit's status: that of the first state in ``_STATES`` that applies."""
    return next(build for applies, build in _STATES if applies(unit))(unit)


def _build_succeeded(unit: UnitView) -> UnitStatus:
    note = None
    if unit.job.shards and unit.pod and unit.pod.terminated:  # why this shard rendered the whole scene
        note = parse_report(unit.pod.terminated.message)
    return UnitStatus(
        name=_name(unit),
        state=JobState.SUCCEEDED,
        progress=100.0,
        activity=note.message if note else None,
        attempt=_attempt(unit),
    )


def _build_failed(unit: UnitView) -> UnitStatus:
    return _build(unit, JobState.FAILED, _explain_failure(unit))


def _explain_failure(unit: UnitView) -> Problem:
    if unit.reported_code and unit.reported:
        message = unit.reported.message or f"it ended with exit code {unit.reported_code}"
        return Problem(message=message, exit_code=unit.reported_code, from_job=True)
    if unit.pod:
        return diagnosis.explain_failure(unit.pod, unit.job.memory_limit)
    if unit.job.is_large:
        return Problem(message="it failed; its log shows why")
    return Problem(message="its pod was deleted", exit_code=ExitCode.LOST)


def _build_cancelled(unit: UnitView) -> UnitStatus:
    return UnitStatus(name=_name(unit), state=JobState.CANCELLED, attempt=_attempt(unit))


def _build_cut_off(unit: UnitView) -> UnitStatus:
    problem = Problem(message="it had not ended when the job ended", exit_code=ExitCode.LOST)
    if seconds := unit.job.exceeded_deadline_s:
        message = f"it had not ended within the job's deadline of {seconds} s"
        problem = Problem(message=message, exit_code=ExitCode.TIMEOUT)
    elif (most := unit.job.max_failed) is not None:
        message = f"it was stopped, or did not run: more others failed than the {most} that --max-failed allows"
        problem = Problem(message=message, exit_code=ExitCode.CANCELLED)
    return _build(unit, JobState.FAILED, problem)


def _build_running(unit: UnitView) -> UnitStatus:
    waits = unit.pod is not None and unit.pod.holds_outputs and not unit.job.store  # with a store, none waits
    return UnitStatus(
        name=_name(unit),
        state=JobState.RUNNING,
        progress=unit.reported.progress if unit.reported else None,
        activity="rendered; its outputs wait to be downloaded" if waits else _estimate_rest(unit),
        attempt=_attempt(unit),
    )


def _estimate_rest(unit: UnitView) -> str | None:
    """Return how long the unit will still run, if its progress goes on as until now."""
    if not unit.reported or not unit.reported.progress or unit.reported.progress < MIN_PROGRESS:
        return None
    seconds = unit.reported.seconds
    if seconds is None and unit.pod and unit.pod.started_at:
        seconds = (datetime.now(UTC) - unit.pod.started_at).total_seconds()
    if seconds is None or not MIN_RUN_S <= seconds <= MAX_RUN_S:  # the clocks of the cluster and of this machine differ
        return None
    left = seconds * (100 - unit.reported.progress) / unit.reported.progress
    return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"  # noqa: PLR2004


def _build_pending(unit: UnitView) -> UnitStatus:
    problem = unit.wait
    if problem is None and unit.pod and (unit.pod.ended or unit.reported_code):
        problem = Problem(message=f"retried after: {_explain_failure(unit).message}")
    return _build(unit, JobState.PENDING, problem)


_STATES: tuple[tuple[Callable[[UnitView], bool], Callable[[UnitView], UnitStatus]], ...] = (
    (lambda unit: unit.succeeded, _build_succeeded),
    (lambda unit: unit.failed, _build_failed),
    (lambda unit: unit.cancelled, _build_cancelled),
    (lambda unit: unit.cut_off, _build_cut_off),
    (lambda unit: unit.running, _build_running),
    (lambda _: True, _build_pending),
)


def _build(unit: UnitView, state: JobState, problem: Problem | None) -> UnitStatus:
    return UnitStatus(name=_name(unit), state=state, problem=problem, attempt=_attempt(unit))


def _name(unit: UnitView) -> str:
    return unit.job.units[unit.index]


def _attempt(unit: UnitView) -> int:
    return unit.pod.attempt if unit.pod else 1
