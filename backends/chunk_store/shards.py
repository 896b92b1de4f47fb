"""Shows the shards of a job, which render one scene together, as the one unit that they are for the user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backends.chunk_store.shard_results import has_outputs
from backends.exit_codes import ExitCode
from backends.models import JobState, LogLine, UnitStatus
from backends.worker_protocol import UnitResult

_STOPPED = frozenset({None, ExitCode.LOST, ExitCode.CANCELLED})  # of a shard that ended with the others
_FRAMES = re.compile(r"(\d{1,9}) frames")


def join_statuses(shards: Sequence[UnitStatus]) -> UnitStatus:
    """Return the status of the scene: failed if a shard failed, and its progress is that of all shards together."""
    failed = [shard for shard in shards if shard.state is JobState.FAILED]
    if failed:  # what a shard reports says more than that others ended with it
        return min(failed, key=lambda shard: (shard.exit_code in _STOPPED, not shard.problem))
    states = [shard.state for shard in shards]
    base = replace(shards[0], attempt=max(shard.attempt for shard in shards))
    for state in (JobState.CANCELLED, JobState.RUNNING, JobState.PENDING, JobState.SUCCEEDED):
        if state in states:
            first = shards[states.index(state)]
            break
    if first.state is JobState.SUCCEEDED:
        whole = next((shard.activity for shard in shards if shard.activity), None)
        return replace(base, state=JobState.SUCCEEDED, progress=100.0, problem=None, activity=whole)
    if first.state is JobState.PENDING and JobState.SUCCEEDED not in states:
        return first
    if first.state is JobState.CANCELLED:
        return first
    done = states.count(JobState.SUCCEEDED)
    frames = sum(int(match[1]) for shard in shards if (match := _FRAMES.fullmatch(shard.activity or "")))
    activity = f"{done} of {len(shards)} shards have ended" + (f", {frames} frames of the others" if frames else "")
    progress = round(sum(shard.progress or 0.0 for shard in shards) / len(shards), 1)
    return replace(base, state=JobState.RUNNING, progress=progress, activity=activity, problem=first.problem)


def label_line(line: LogLine) -> LogLine:
    """Return a line of a shard's log as one of the scene's log."""
    return LogLine(0, f"shard {line.unit}: {line.text}")


def select_result(results: Iterable[tuple[int, UnitResult | None]]) -> int | None:
    """Return the shard whose result is that of the scene: the one that joined the clips, or the first that failed."""
    found = [(shard, result) for shard, result in results if result]
    joined = (shard for shard, result in found if has_outputs(result))
    failed = (shard for shard, result in found if result.exit_code)
    return next(joined, next(failed, None))
