"""Reads the logs of a call. Modal mixes the text of all units, so the function prints each line as ``UNIT| text``."""

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
TAIL_ENTRIES = 300  # how many entries are searched for the progress


class LogEntry(Protocol):
    """What Modal's client yields: a piece of text that one container wrote to one stream."""

    @property
    def source(self) -> str:
        """The name of the stream: stdout, stderr or system."""

    @property
    def context_ids(self) -> list[str]:
        """The ids of the function's input and of the container."""

    @property
    def message(self) -> str:
        """The text: any number of lines, or only a part of one."""


class TimedLogEntry(LogEntry, Protocol):
    """An entry with the time at which it was printed."""

    @property
    def timestamp(self) -> datetime:
        """When it was printed."""


def read_logs(session: Session, record: CallRecord, *, follow: bool) -> Iterator[LogLine]:
    """Yield the lines of the log. With ``follow``, wait for new lines until the call has ended."""
    logs = session.modal.FunctionCall.from_id(record.call).logs
    entries = logs.stream() if follow else logs.fetch()
    try:
        yield from join_lines(entries)
    except (session.modal.exception.NotFoundError, session.modal.exception.LogsFetchError):
        return  # Modal has deleted the call or its log
    except session.modal.exception.Error as error:
        raise translate_error(error) from error
    finally:
        entries.close()


def read_stored_logs(files: Files, record: CallRecord) -> Iterator[LogLine]:
    """Yield the lines of each unit's last attempt, from the copy on the volume."""
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
    """Yield the lines that the pieces contain. Pieces of different containers or streams are not joined."""
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
    """Return the line and its unit. A line of Modal itself has no unit: use the container's last unit, or unit 0."""
    match = _LINE.fullmatch(text)
    if match:
        units[key[1:]] = int(match[1])
        return LogLine(int(match[1]), match[2].rstrip("\r"))
    return LogLine(units.get(key[1:], 0), text.rstrip("\r"))
