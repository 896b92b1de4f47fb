"""The messenger: sends the webhooks of the jobs of one folder, as long as there are any to be sent.

``python -I -m backends.local.messenger FOLDER``
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from backends.errors import SpecError
from backends.local.folder import JobFolder
from backends.local.status import read_status
from backends.local.webhooks import Deliveries, Delivery
from backends.models import JobHandle, JobStatus
from backends.webhooks.message import make_message
from backends.webhooks.sending import NotDeliveredError, choose_pause, parse_networks, post_signed
from backends.webhooks.spec import read_secret

LOOK_S = 1.0
THREADS = 8


def main() -> None:
    """Send the messages about the jobs in the folder that the first argument names."""
    deliveries = Deliveries(Path(sys.argv[1]))
    while next(deliveries.find_due(), None):  # again after the end: a job may have ended while the lock was still held
        with deliveries.hold_lock() as is_only:
            if not is_only:
                return
            run(deliveries)


def run(deliveries: Deliveries) -> None:
    """Send messages until none is left to be sent now or later."""
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            known = deliveries.read_times()
            found, now = list(deliveries.find_due()), time.time()
            if not found:
                return
            due = [(key, delivery) for key, delivery in found if delivery.at <= now]
            list(pool.map(lambda item: deliver(deliveries, *item), due))
            until = min((delivery.at for _, delivery in found if delivery.at > now), default=0.0)
            while not due and time.time() < until and deliveries.read_times() == known:
                time.sleep(LOOK_S)


def deliver(deliveries: Deliveries, key: str, delivery: Delivery) -> None:
    """Make one attempt, and store its result."""
    try:
        status = read_status(JobFolder(deliveries.jobs / key), JobHandle.parse(delivery.handle))
    except (OSError, ValueError, SpecError):  # it was deleted, or is damaged: there is nothing to say
        deliveries.remove(key)
        return
    try:
        secret = read_secret(Path(delivery.secret_file))
        message = make_message(status, describe_job(status))
        post_signed(delivery.url, message, delivery.message, secret, parse_networks(delivery.networks))
    except Exception as error:  # noqa: BLE001  # whatever it was, the next attempt comes later
        fault = str(error) if isinstance(error, NotDeliveredError | SpecError) else type(error).__name__
        attempts = delivery.attempts + 1
        pause = choose_pause(attempts)
        next_at, is_given_up = (time.time() + pause, False) if pause else (0.0, True)
        done = replace(delivery, attempts=attempts, at=next_at, fault=fault, is_given_up=is_given_up)
        if deliveries.read(key):  # else the job was deleted in the meantime
            with suppress(OSError):
                deliveries.write(key, done)
        return
    deliveries.remove(key)


def describe_job(status: JobStatus) -> dict[str, object]:
    """Return the data of the message about a job that has ended."""
    return {
        "handle": str(status.handle),
        "backend": status.handle.backend,
        "name": status.name,
        "state": str(status.state),
        "exit_code": status.exit_code,
        "created": _show_moment(status.created),
        "finished": _show_moment(status.finished),
        "units": status.counts.total,
        "ended": status.counts.ended,
        "failed": status.counts.failed,
    }


def _show_moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


if __name__ == "__main__":
    main()
