"""What a message about the end of a job says."""

from __future__ import annotations

import json
from collections.abc import Mapping

from backends.models import JobState, JobStatus

MAX_REASON = 1000  # characters


def make_message(status: JobStatus, data: Mapping[str, object]) -> bytes:
    """Return the message about a job that has ended, with this ``data`` and the reason of a failure.

    The data has ``created`` and ``finished``, as ISO 8601 in UTC.
    """
    failed = next((unit for unit in status.units if unit.state is JobState.FAILED), None)
    reason = (failed and failed.message) or status.reason
    message = {
        "type": f"job.{status.state}",
        "timestamp": data["finished"] or data["created"],
        "data": {**data, "reason": reason and reason[:MAX_REASON]},
    }
    return json.dumps(message).encode()
