"""Finds out the status of one unit, from its Job and from the pod of its last attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backends.exit_codes import ExitCode
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.observe import diagnosis
from backends.models import JobState, UnitStatus
from backends.problem import Problem


@dataclass(frozen=True, kw_only=True)
class UnitView:
    """Everything that is known about one unit; ``wait`` is why its pod does not start."""

    job: Job
    index: int
    pod: Pod | None
    wait: Problem | None = None
    progress: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the Job counts it as completed."""
        return self.index in self.job.completed

    @property
    def failed(self) -> bool:
        """Whether the Job counts it as failed, or has ended and the unit's pod has failed."""
        pod_failed = self.job.ended and self.pod is not None and self.pod.phase == "Failed"
        return self.index in self.job.failed or pod_failed

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
        return self.pod is not None and not self.pod.deleted and (self.pod.started or self.pod.succeeded)


def read_unit(unit: UnitView) -> UnitStatus:
    """Return the unit's status: that of the first state in ``_STATES`` that applies."""
    return next(build for applies, build in _STATES if applies(unit))(unit)


def _build_succeeded(unit: UnitView) -> UnitStatus:
    return UnitStatus(name=_name(unit), state=JobState.SUCCEEDED, progress=100.0, attempt=_attempt(unit))


def _build_failed(unit: UnitView) -> UnitStatus:
    lost = Problem(message="its pod was deleted", exit_code=ExitCode.LOST)
    problem = diagnosis.explain_failure(unit.pod, unit.job.memory_limit) if unit.pod else lost
    return _build(unit, JobState.FAILED, problem)


def _build_cancelled(unit: UnitView) -> UnitStatus:
    return UnitStatus(name=_name(unit), state=JobState.CANCELLED, attempt=_attempt(unit))


def _build_cut_off(unit: UnitView) -> UnitStatus:
    problem = Problem(message="it had not ended when the job ended", exit_code=ExitCode.LOST)
    if seconds := unit.job.exceeded_deadline_s:
        message = f"it had not ended within the job's deadline of {seconds} s"
        problem = Problem(message=message, exit_code=ExitCode.TIMEOUT)
    elif (most := unit.job.max_failed) is not None:
        message = f"it had not ended when more than {most} others had failed (--max-failed)"
        problem = Problem(message=message, exit_code=ExitCode.LOST)
    return _build(unit, JobState.FAILED, problem)


def _build_running(unit: UnitView) -> UnitStatus:
    activity = "rendered; its outputs wait to be downloaded" if unit.pod and unit.pod.holds_outputs else None
    return UnitStatus(
        name=_name(unit), state=JobState.RUNNING, progress=unit.progress, activity=activity, attempt=_attempt(unit)
    )


def _build_pending(unit: UnitView) -> UnitStatus:
    problem = unit.wait
    if problem is None and unit.pod and unit.pod.ended:
        failure = diagnosis.explain_failure(unit.pod, unit.job.memory_limit)
        problem = Problem(message=f"retried after: {failure.message}")
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
