"""Reads the log of one pod."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from backends.kubernetes.client.client import Api
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.client.transport import READ_TIMEOUT_S
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod
from backends.models import LogLine
from backends.untrusted import Limits
from backends.worker_protocol import UNITS, split_label

SILENCE_TIMEOUT_S = 4 * 3600.0  # how long a log that is followed may be silent
_TIME = re.compile(r"(\d[\d:T-]+)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")

Moment = tuple[datetime, int]  # a second in UTC, and nanoseconds of it
BEGINNING: Moment = (datetime.min.replace(tzinfo=UTC), 0)


def read_log(
    api: Api, namespace: str, pod: Pod, *, since: Moment = BEGINNING, follow: bool = False
) -> Iterator[tuple[Moment, str]]:
    """Yield the lines of a pod's log after ``since``, each with its time: at most as much as Limits allow of a log.

    Raises ApiError, and TransientError when the connection breaks.
    """
    query = {"container": pod.container, "timestamps": "true"}
    query |= {"sinceTime": since[0].isoformat()} if since != BEGINNING else {}
    query |= {"follow": "true"} if follow else {}
    path = core_path(namespace, "pods", pod.name, "log")
    timeout_s, limits, size = SILENCE_TIMEOUT_S if follow else READ_TIMEOUT_S, Limits(), 0
    for raw in api.stream_lines(path, query, read_timeout_s=timeout_s, limit=limits.line):
        size += len(raw)
        if size > limits.log:
            yield since, f"[the log has more than {limits.log >> 20} MiB: the rest is not shown]"
            return
        line = raw.decode("utf-8", "replace").rstrip("\r")
        stamp, _, text = line.partition(" ")
        if (moment := _parse_moment(stamp)) is None:  # a message of the kubelet, which has no time
            yield since, line
        elif moment > since:
            yield moment, text


def assign_line(job: Job, pod: Pod, text: str) -> LogLine | None:
    """Return a line of a pod's log with the unit that printed it; None for one that only says how far units are.

    A line that belongs to no unit, such as one of the pod itself, counts as one of its first unit.
    """
    units = job.units_of(pod.index)
    if job.per_pod > 1:
        if text.startswith(UNITS):
            return None
        found = split_label(text)
        if found and found[0] in units:
            return LogLine(*found)
    return LogLine(units.start, text)


def _parse_moment(stamp: str) -> Moment | None:
    """Parse a time with up to nine digits of a second, in any time zone; return None if it is not a time."""
    match = _TIME.fullmatch(stamp)
    if not match:
        return None
    return datetime.fromisoformat(match[1] + match[3]).astimezone(UTC), int((match[2] or "").ljust(9, "0"))
