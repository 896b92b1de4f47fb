"""Follows jobs for any number of clients: one reader of the state and one of the log for each job, however many look.

Clients do not have queues: each reads on where it was, so that a slow one costs nothing. A client that is too slow for
the kept part of the log learns how many lines it missed; ``logs`` has them all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backends import JobStatus, UnitStatus
from backends.errors import JobNotFoundError, RendererError
from renderer.serve.problems import describe
from renderer.serve.service import Entry, Service

POLL_S = 0.5
KEPT_BYTES = 2 * 2**20  # of a job's log
MOST_UNITS = 1000  # of a job with more units, only those that changed since the client came are sent
BATCH = 200  # log lines of one event
_BOOT = secrets.token_hex(4)  # ids of another server's life mean nothing here
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One event for a client; ``id`` is where it goes on after a break."""

    name: str
    data: Any
    id: str = ""

    def to_json(self) -> str:
        """Return the data as JSON."""
        return json.dumps(self.data)


class Follower:
    """Follows one job while clients look. A client calls ``join``, reads ``events``, and calls ``leave``."""

    def __init__(self, service: Service, entry: Entry, call: Callable[..., Awaitable[Any]]) -> None:
        self.status: JobStatus | None = None
        self.error: RendererError | None = None
        self._clients = 0
        self._service, self._entry, self._call = service, entry, call
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._lines: deque[tuple[int, str]] = deque()
        self._first = self._bytes = 0
        self._guard = threading.Lock()
        self._log_ended = self._is_left = self._is_telling = False
        self._task: asyncio.Task[None] | None = None
        self._reader: threading.Thread | None = None

    @property
    def is_done(self) -> bool:
        """Whether the job has ended and its whole log was read."""
        return bool(self.error) or (self.status is not None and self.status.state.terminal and self._log_ended)

    @property
    def is_useless(self) -> bool:
        """Whether nobody looks and nothing is read any more."""
        return not self._clients and (self._log_ended or self._is_left)

    def join(self) -> bool:
        """Count one more client. Return False if the log is not read any more, because all clients had gone."""
        with self._guard:
            if self._is_left:
                return False
            self._clients += 1
        if self._reader is None:  # not before there is a client, without whom it would end at once
            self._reader = threading.Thread(target=self._read_log, daemon=True, name=f"log-{self._entry.id}")
            self._reader.start()
        if self._task is None or (self._task.done() and not self.is_done):
            self._task = asyncio.create_task(self._poll())
        return True

    def leave(self) -> None:
        """Count one client less. After the last, the reader of the log ends with its next line, or with the job."""
        with self._guard:
            self._clients -= 1
        if not self._clients and self._task:
            self._task.cancel()
            self._task = None

    async def _poll(self) -> None:
        while not (self.status and self.status.state.terminal):
            try:
                self.status = await self._call(self._entry.backend, self._service.status, self._entry)
            except JobNotFoundError as error:
                self.error = error
            except (RendererError, OSError) as error:  # it does not answer: ask again
                _log.info("%s: %s", self._entry.handle, error)
            self._tell()
            if self.error:
                return
            await asyncio.sleep(POLL_S)

    def _read_log(self) -> None:
        try:
            for line in self._service.open(self._entry).logs(follow=True):
                with self._guard:
                    self._lines.append((line.unit, line.text))
                    self._bytes += len(line.text) + 100
                    while self._bytes > KEPT_BYTES and len(self._lines) > 1:
                        self._bytes -= len(self._lines.popleft()[1]) + 100
                        self._first += 1
                    self._is_left = not self._clients
                if self._is_left:
                    return
                self._tell_soon()
        except (RendererError, OSError) as error:
            _log.info("the log of %s: %s", self._entry.handle, error)
        finally:
            self._log_ended = True
            self._tell_soon()

    def _tell_soon(self) -> None:
        """Wake the clients, from the thread of the log: once for many lines."""
        if not self._is_telling:
            self._is_telling = True
            with suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        self._changed.set()
        self._changed = asyncio.Event()

    async def events(self, after: str | None) -> AsyncIterator[Event]:
        """Yield what happens, from the beginning or after the event with this id, until the job has ended."""
        position, known = 0, None
        if after and after.startswith(f"{_BOOT}."):
            text = after.partition(".")[2]
            position = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0  # noqa: PLR2004
        elif after:
            yield Event("reset", {"reason": "the server was started again"})
        while True:
            changed, is_done = self._changed, self.is_done
            if self.status is not None and self.status != known:
                for event in _describe_changes(self._entry, self.status, known, position):
                    yield event
                known = self.status
            while True:
                lines, missed = self._take(position)
                if missed:
                    position += missed
                    yield Event("gap", {"lines": missed}, f"{_BOOT}.{position}")
                if not lines:
                    break
                position += len(lines)
                data = [{"unit": unit, "text": text} for unit, text in lines]
                yield Event("log", data, f"{_BOOT}.{position}")
            if is_done:
                yield Event("end", describe(self.error) if self.error else {}, f"{_BOOT}.end")
                return
            await changed.wait()

    def _take(self, position: int) -> tuple[list[tuple[int, str]], int]:
        """Return the next lines after a position, or how many were dropped before the first that is kept."""
        with self._guard:
            missed = max(0, self._first - position)
            start = position + missed - self._first
            return [self._lines[i] for i in range(start, min(len(self._lines), start + BATCH))], missed


class Followers:
    """The jobs that somebody follows."""

    def __init__(self, service: Service, call: Callable[..., Awaitable[Any]]) -> None:
        self._service, self._call = service, call
        self._known: dict[str, Follower] = {}

    async def follow(self, entry: Entry, after: str | None) -> AsyncIterator[Event]:
        """Yield the events of a job."""
        follower = self._known.get(entry.id)
        if follower is None or not follower.join():
            self._known = {key: other for key, other in self._known.items() if not other.is_useless}
            follower = self._known[entry.id] = Follower(self._service, entry, self._call)
            follower.join()
        try:
            async for event in follower.events(after):
                yield event
        finally:
            follower.leave()
            if follower.is_useless:
                self._known.pop(entry.id, None)


def is_ended(after: str | None) -> bool:
    """Return whether a client has seen everything already."""
    return after == f"{_BOOT}.end"


def _describe_changes(entry: Entry, status: JobStatus, known: JobStatus | None, position: int) -> list[Event]:
    from renderer.serve.documents import summary_document, unit_document

    def is_new(number: int, unit: UnitStatus) -> bool:
        if known is None:
            return len(status.units) <= MOST_UNITS
        return number >= len(known.units) or known.units[number] != unit

    at = f"{_BOOT}.{position}"
    events = [Event("job", summary_document(entry, status).model_dump(mode="json"), at)]
    changed = [
        {"index": number, **unit_document(unit).model_dump(mode="json")}
        for number, unit in enumerate(status.units)
        if is_new(number, unit)
    ]
    if changed:
        events.append(Event("units", changed, at))
    return events
