"""Webhooks of the jobs of this machine: what is to be sent, and how far that is.

Each has a file ``.webhooks/ID.json`` beside the folders of the jobs, until the receiver took the message. A process of
its own sends them: the messenger (messenger.py), which the supervisor starts at the end of its job. If either was
killed, the next command that uses these jobs starts one. There is never more than one for all jobs of a folder.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.local.folder import WEBHOOKS, JobFolder
from backends.untrusted.file_lock import try_lock
from backends.untrusted.state_files import read_state, write_state

if TYPE_CHECKING:
    from backends.webhooks.spec import Webhook

LOCK = "lock"  # held by the messenger, which looks again when the file is touched
_ENDING = ".json"
_MAX_BYTES = 2**16
_TYPES: Mapping[str, Any] = dict.fromkeys(("handle", "message", "url", "secret_file"), str) | {
    "attempts": int, "at": float, "fault": str | None, "is_given_up": bool,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How far the message about a job is: ``at`` is when to send it next, in seconds since 1970.

    ``message`` is its id, ``fault`` why it was not taken so far. One that ``is_given_up`` is not sent any more.
    """

    handle: str
    message: str
    url: str
    secret_file: str
    networks: tuple[str, ...]
    attempts: int = 0
    at: float = 0.0
    fault: str | None = None
    is_given_up: bool = False


class Deliveries:
    """The messages about the jobs in one folder."""

    def __init__(self, jobs: Path) -> None:
        self.jobs = jobs
        self.folder = jobs / WEBHOOKS
        self.lock = self.folder / LOCK

    def create(self, key: str, handle: str, webhook: Webhook) -> None:
        """Have a message sent when the job has ended. Raises OSError."""
        message = f"msg_{key}-{secrets.token_hex(8)}"
        self.write(key, Delivery(handle=handle, message=message, **asdict(webhook)))

    def write(self, key: str, delivery: Delivery) -> None:
        """Write how far a message is. Raises OSError."""
        write_state(self._path(key), json.dumps(asdict(delivery)).encode())

    def read(self, key: str) -> Delivery | None:
        """Return how far the message about a job is; None if there is none to be sent."""
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            return _parse(json.loads(read_state(self._path(key), _MAX_BYTES)))
        return None

    def remove(self, key: str) -> None:
        """Send no message about the job, or none any more."""
        if not self.folder.is_symlink():  # a local job may have put a link there, to files of the user
            self._path(key).unlink(missing_ok=True)

    def has(self, key: str) -> bool:
        """Return whether the message about a job was not taken so far."""
        return self._path(key).exists()

    def keys(self) -> list[str]:
        """Return the ids of jobs with a message that was not taken so far."""
        with suppress(OSError):
            if self.folder.is_symlink():
                return []
            return [path.name.removesuffix(_ENDING) for path in self.folder.iterdir() if path.name.endswith(_ENDING)]
        return []

    def find_due(self) -> Iterator[tuple[str, Delivery]]:
        """Yield what is to be sent: messages about jobs that have ended. Forget jobs that were deleted."""
        for key in self.keys():
            job = JobFolder(self.jobs / key)
            if not job.path.is_dir():
                self.remove(key)
            elif (job.path / "state.json").exists() or not job.is_supervised():
                delivery = self.read(key)
                if delivery and not delivery.is_given_up:
                    yield key, delivery

    @contextmanager
    def hold_lock(self) -> Iterator[bool]:
        """Yield whether nobody else holds the lock; then it is held within the block."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            yield try_lock(descriptor)
        finally:
            os.close(descriptor)

    def read_times(self) -> tuple[int, int]:
        """Return when there was something new: a message more or less, or a job that has ended."""
        return self.folder.stat().st_mtime_ns, self.lock.stat().st_mtime_ns

    def start_messenger(self) -> None:
        """Have the messages that are due sent: start a messenger, or let the one that runs look again.

        If that is impossible, a later command tries it again: jobs do not depend on it.
        """
        with suppress(OSError):
            if next(self.find_due(), None) is None:
                return
            with self.hold_lock() as is_free:
                if not is_free:
                    os.utime(self.lock)
                    return
            subprocess.Popen(
                [sys.executable, "-I", "-m", "backends.local.messenger", str(self.jobs)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )

    def describe(self, key: str) -> str | None:
        """Return a sentence about a message that was not taken so far; None before the first attempt."""
        delivery = self.read(key)
        if delivery is None or delivery.fault is None:
            return None
        if delivery.is_given_up:
            return f"the webhook was given up after {delivery.attempts} attempts: {delivery.fault}"
        return f"the webhook is tried again, attempt {delivery.attempts} failed: {delivery.fault}"

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_ENDING}"


def _parse(content: Mapping[str, Any]) -> Delivery:
    """Return what a file says. Raises ValueError, TypeError or KeyError: a local job can write anything into it."""
    delivery = Delivery(**{**content, "networks": tuple(map(str, content["networks"]))})
    has_types = all(isinstance(getattr(delivery, name), kind) for name, kind in _TYPES.items())
    if not has_types or not math.isfinite(delivery.at) or delivery.attempts < 0:
        raise ValueError("it is damaged")
    return delivery
