"""Reads logs. Modal gives chunks of all units together; each line that the function prints begins with its unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from backends.modal.call_store import Record
from backends.modal.errors import in_words
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import LogLine
from backends.worker_protocol import LOG

_LINE = re.compile(r"(\d+)\| ?(.*)", re.DOTALL)
TAIL = 300  # entries in which the progress is looked for


def read(session: Session, record: Record, *, follow: bool) -> Iterator[LogLine]:
    """Yield whole lines; with ``follow`` as they come, until the call has ended."""
    logs = session.modal.FunctionCall.from_id(record.call).logs
    entries = logs.stream() if follow else logs.fetch()
    try:
        yield from lines(entries)
    except (session.modal.exception.NotFoundError, session.modal.exception.LogsFetchError):
        return  # Modal has forgotten the call, or does not tell its log any more
    except session.modal.exception.Error as error:
        raise in_words(error) from error
    finally:
        entries.close()


def stored(files: Files, record: Record) -> Iterator[LogLine]:
    """Yield the lines of each unit's last try, from the volume."""
    for index in range(len(record.units)):
        content = files.read(f"jobs/{record.call}/{index}/{LOG}") or b""
        for text in content.decode("utf-8", "replace").splitlines():
            yield LogLine(index, text)


def tail(session: Session, record: Record) -> list[tuple[LogLine, str]]:
    """Give the last lines, each with the time (ISO 8601) of its entry."""
    logs = session.modal.FunctionCall.from_id(record.call).logs

    def fetch() -> list[Any]:
        return list(logs.tail(TAIL))

    entries = session.call(fetch)
    return [(line, entry.timestamp.isoformat()) for entry in entries for line in lines([entry])]


def lines(entries: Iterable[Any]) -> Iterator[LogLine]:
    """Put chunks together to lines, for each container and stream apart."""
    rest: dict[tuple[str, ...], str] = {}
    units: dict[tuple[str, ...], int] = {}
    for entry in entries:
        key = (entry.source, *entry.context_ids)
        *whole, rest[key] = (rest.get(key, "") + entry.message).split("\n")
        for text in whole:
            yield _line(text, key, units)
    for key, text in rest.items():
        if text:
            yield _line(text, key, units)


def _line(text: str, key: tuple[str, ...], units: dict[tuple[str, ...], int]) -> LogLine:
    """Read one line. What Modal itself says has no unit in front: it is the unit's of that container, or the first."""
    match = _LINE.fullmatch(text)
    if match:
        units[key[1:]] = int(match[1])
        return LogLine(int(match[1]), match[2].rstrip("\r"))
    return LogLine(units.get(key[1:], 0), text.rstrip("\r"))
