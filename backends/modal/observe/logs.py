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
from backends.untrusted import Limits
from backends.worker_protocol import LOG

_LINE = re.compile(r"([0-9]{1,6})\| ?(.*)", re.DOTALL)
TAIL_ENTRIES = 300  # how many entries are searched for the progress
CUT = " … (the line is longer)"


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


def read_logs(session: Session, record: CallRecord, limits: Limits, *, follow: bool) -> Iterator[LogLine]:
    """Yield the lines of the log. With ``follow``, wait for new lines until the call has ended."""
    logs = session.modal.FunctionCall.from_id(record.call).logs
    entries = logs.stream() if follow else logs.fetch()
    try:
        yield from _bound(join_lines(entries, len(record.units), limits), limits)
    except (session.modal.exception.NotFoundError, session.modal.exception.LogsFetchError):
        return  # Modal has deleted the call or its log
    except session.modal.exception.Error as error:
        raise translate_error(error) from error
    finally:
        entries.close()


def read_stored_logs(files: Files, record: CallRecord) -> Iterator[LogLine]:
    """Yield the lines of each unit's last attempt, from the copy on the volume."""
    for index in range(len(record.units)):
        content = files.read_start(f"{record.outputs}/{index}/{LOG}", limit=files.limits.log) or b""
        for text in content.decode("utf-8", "replace").splitlines():
            yield LogLine(index, _cut(text, files.limits))


def read_tail(session: Session, record: CallRecord, limits: Limits) -> list[tuple[LogLine, str]]:
    """Return the last lines, each with the time (ISO 8601) of its entry."""
    logs = session.modal.FunctionCall.from_id(record.call).logs

    def fetch() -> list[TimedLogEntry]:
        return list(logs.tail(TAIL_ENTRIES))

    entries, units = session.call(fetch), len(record.units)
    return [(line, entry.timestamp.isoformat()) for entry in entries for line in join_lines([entry], units, limits)]


def join_lines(entries: Iterable[LogEntry], units: int, limits: Limits) -> Iterator[LogLine]:
    """Yield the lines that the pieces contain; of a long line only the beginning.

    Pieces of different containers or streams are not joined.
    """
    rest: dict[tuple[str, ...], str] = {}
    known: dict[tuple[str, ...], int] = {}
    for entry in entries:
        key = (entry.source, *entry.context_ids)
        *whole, last = (rest.get(key, "") + entry.message).split("\n")
        rest[key] = last[: limits.line + 1]
        for text in whole:
            yield _read_line(_cut(text, limits), key, known, units)
    for key, text in rest.items():
        if text:
            yield _read_line(_cut(text, limits), key, known, units)


def _read_line(text: str, key: tuple[str, ...], known: dict[tuple[str, ...], int], units: int) -> LogLine:
    """Return the line and its unit. A line of Modal itself has no unit: use the container's last unit, or unit 0."""
    match = _LINE.fullmatch(text)
    if match and int(match[1]) < units:
        known[key[1:]] = int(match[1])
        return LogLine(int(match[1]), match[2].rstrip("\r"))
    return LogLine(known.get(key[1:], 0), text.rstrip("\r"))


def _cut(text: str, limits: Limits) -> str:
    return text if len(text) <= limits.line else text[: limits.line] + CUT


def _bound(lines: Iterator[LogLine], limits: Limits) -> Iterator[LogLine]:
    """Yield lines up to the limit of a log, and a last line that says so; the rest is read, until the call ends."""
    total = 0
    for line in lines:
        before, total = total, total + len(line.text) + 1
        if total <= limits.log:
            yield line
        elif before <= limits.log:
            yield LogLine(line.unit, f"… (the log is longer than {limits.log >> 20} MiB: the rest is not shown)")
