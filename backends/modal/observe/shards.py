"""Shows a scene in shards as the one unit that it is: its progress, its log and its result. Also ends its calls.

``deploy.shard_function`` is the job's call. It calls the function for all shards, with an input for each, and when they
have ended, to join their clips. The ids of these calls are in a file that the job's own code cannot write.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from backends.chunk_store.shard_results import has_outputs
from backends.chunk_store.shards import join_statuses, label_line
from backends.errors import OutputError, TransientError
from backends.modal import calls
from backends.modal.call_store import CallRecord
from backends.modal.observe import logs
from backends.modal.request import INPUTS_VOLUME, SHARD_CALLS, WITHDRAWN
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import JobState, LogLine, UnitStatus
from backends.untrusted import Limits, parse_result
from backends.worker_protocol import RESULT, UnitResult, last_progress, last_status

POLL_INTERVAL_S = 1.0
END_TIMEOUT_S = 10.0  # Modal kills the containers
_CALL = re.compile(r"fc-\w+", re.ASCII)


def find_calls(session: Session, record: CallRecord) -> list[str]:
    """Return the calls that the job has made: none, that of the shards, or also the joining one."""
    content = Files(session, record.environment, INPUTS_VOLUME).read(f"inputs/{record.folder}/{SHARD_CALLS}")
    return [call for call in json.loads(content or b"[]") if _CALL.fullmatch(call)]


def expand(record: CallRecord, call: str | None = None) -> CallRecord:
    """Return a record in which each shard is a unit, for one of the job's calls."""
    return replace(record, call=call or record.call, units=record.units * (record.shards or 1))


def read_progress(session: Session, files: Files, record: CallRecord) -> tuple[str | None, UnitStatus]:
    """Return when the scene started (None if it has not), and its state, from the last lines of all shards."""
    texts: dict[int, list[str]] = {}
    moments = []
    for call in find_calls(session, record):
        for line, moment in logs.read_tail(session, expand(record, call), files.limits):
            texts.setdefault(line.unit, []).append(line.text)
            moments.append(moment)
    ended = {entry.path.rpartition("/")[2] for entry in files.list(f"{record.outputs}/ended")} if moments else set()
    shards = [
        _read_shard(record, texts.get(shard), has_ended=str(shard) in ended) for shard in range(record.shards or 1)
    ]
    joined = join_statuses(shards)
    if joined.state is JobState.SUCCEEDED:
        joined = replace(joined, state=JobState.RUNNING, activity="the clips of all shards are being joined")
    return min(moments, default=None), joined


def _read_shard(record: CallRecord, lines: list[str] | None, *, has_ended: bool) -> UnitStatus:
    state = JobState.SUCCEEDED if has_ended else JobState.RUNNING if lines else JobState.PENDING
    progress = 100.0 if has_ended else last_progress(lines or [])
    return UnitStatus(name=record.units[0], state=state, progress=progress, activity=last_status(lines or []))


def read_logs(session: Session, record: CallRecord, limits: Limits, *, follow: bool) -> Iterator[LogLine]:
    """Yield the lines of all shards, then those of the process that joins the clips."""
    number = 0
    while True:
        has_ended = not follow or calls.fetch_answers(session, record.call, [0])[0] is not None
        for call in find_calls(session, record)[number:]:
            number += 1
            yield from map(label_line, logs.read_logs(session, expand(record, call), limits, follow=follow))
        if has_ended:
            break
        time.sleep(POLL_INTERVAL_S)
    yield from logs.read_logs(session, record, limits, follow=False)  # it says something only if it failed


def read_stored_logs(files: Files, record: CallRecord) -> Iterator[LogLine]:
    """Yield the lines of all shards, from the copies on the volume."""
    return map(label_line, logs.read_stored_logs(files, expand(record)))


def find_result(files: Files, record: CallRecord) -> tuple[int, UnitResult] | None:
    """Return the result of the scene, and its folder's number: that of the joined clips, or of a shard that failed."""
    failed = None
    for shard in range(record.shards or 1):
        result = _read_result(files, record, shard)
        if result and has_outputs(result):
            return shard, result
        if result and result.exit_code and failed is None:
            failed = shard, result
    return failed


def _read_result(files: Files, record: CallRecord, shard: int) -> UnitResult | None:
    with suppress(OutputError):
        if content := files.read(f"{record.outputs}/{shard}/{RESULT}", limit=files.limits.result):
            return parse_result(content, unit=record.units[0], limits=files.limits)
    return None


def end_calls(session: Session, record: CallRecord) -> None:
    """Kill the containers of all calls that the job has made. Raises TransientError if Modal does not do it in time.

    The job's call may have been ended between making a call and writing down its id: such containers end as they start,
    because of the file ``withdrawn``.
    """
    inputs = Files(session, record.environment, INPUTS_VOLUME)
    inputs.put({f"inputs/{record.folder}/{WITHDRAWN}": WITHDRAWN.encode()})
    for call in find_calls(session, record):
        calls.cancel_call(session, call, kill=True)
    for number, call in enumerate(find_calls(session, record)):
        units = range(1 if number else record.shards or 1)
        if None in calls.fetch_answers(session, call, units, wait=END_TIMEOUT_S):
            raise TransientError(f"Modal has not ended the call {call} yet", hint="cancel the job again")
