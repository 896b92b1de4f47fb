"""Reads logs. Modal gives pieces of all units together; each line that the function prints begins with its unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from backends.modal.call_store import CallRecord
from backends.modal.errors import translate_error
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import LogLine
from backends.worker_protocol import LOG

_LINE = re.compile(r"(\d+)\| ?(.*)", re.DOTALL)
TAIL_ENTRIES = 300  # in which the progress is looked for


class LogEntry(Protocol):
    """What Modal's client yields: a piece of one stream of one container."""

    @property
    def source(self) -> str:
        """The stream."""

    @property
    def context_ids(self) -> list[str]:
        """The ids of input and container."""

    @property
    def message(self) -> str:
        """The text, of any length."""


class TimedLogEntry(LogEntry, Protocol):
    """An entry with the time at which it was printed."""

    @property
    def timestamp(self) -> datetime:
        """When it was printed."""


def read_logs(session: Session, record: CallRecord, *, follow: bool) -> Iterator[LogLine]:
    """Yield whole lines; with ``follow`` as they come, until the call has ended."""
    logs = session.modal.FunctionCall.from_id(record.call).logs
    entries = logs.stream() if follow else logs.fetch()
    try:
        yield from join_lines(entries)
    except (session.modal.exception.NotFoundError, session.modal.exception.LogsFetchError):
        return  # Modal has forgotten the call, or no longer keeps its log
    except session.modal.exception.Error as error:
        raise translate_error(error) from error
    finally:
        entries.close()


def read_stored_logs(files: Files, record: CallRecord) -> Iterator[LogLine]:
    """Yield the lines of each unit's last attempt, from the volume."""
    for index in range(len(record.units)):
        content = files.read(f"jobs/{record.call}/{index}/{LOG}") or b""
        for text in content.decode("utf-8", "replace").splitlines():
            yield LogLine(index, text)


def read_tail(session: Session, record: CallRecord) -> list[tuple[LogLine, str]]:
    """Return the last lines, each with the time (ISO 8601) of its entry."""
    logs = session.modal.FunctionCall.from_id(record.call).logs

    def fetch() -> list[TimedLogEntry]:
        return list(logs.tail(TAIL_ENTRIES))

    entries = session.call(fetch)
    return [(line, entry.timestamp.isoformat()) for entry in entries for line in join_lines([entry])]


def join_lines(entries: Iterable[LogEntry]) -> Iterator[LogLine]:
    """Join pieces to lines, separately for each container and stream."""
    rest: dict[tuple[str, ...], str] = {}
    units: dict[tuple[str, ...], int] = {}
    for entry in entries:
        key = (entry.source, *entry.context_ids)
        *whole, rest[key] = (rest.get(key, "") + entry.message).split("\n")
        for text in whole:
            yield _read_line(text, key, units)
    for key, text in rest.items():
        if text:
            yield _read_line(text, key, units)


def _read_line(text: str, key: tuple[str, ...], units: dict[tuple[str, ...], int]) -> LogLine:
    """Return one line. Lines of Modal itself have no unit in front: take the container's last unit, or the first."""
    match = _LINE.fullmatch(text)
    if match:
        units[key[1:]] = int(match[1])
        return LogLine(int(match[1]), match[2].rstrip("\r"))
    return LogLine(units.get(key[1:], 0), text.rstrip("\r"))
