"""The answers of the tools: a few lines with the error, its line of code and a hint, and the picture beside them.

Text and pictures of jobs are bounded, because they fill the agent's context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent

from backends import JobState, JobStatus, UnitStatus
from backends.errors import RendererError, ResultError
from backends.untrusted import show_line, show_text
from renderer.previews import previewing
from renderer.serve.agents.pictures import read_pictures
from renderer.serve.documents import progress_of
from renderer.serve.problems import hint_of, message_of, word_error

MAX_TEXT = 8000  # characters of an answer
MAX_LINE = 400  # characters of a line that a job printed
MAX_UNITS = 5  # failed units that are described
MAX_FILES = 30  # that are named
MAX_WARNINGS = 20


@dataclass(frozen=True)
class AgentFile:
    """A file that a job made: where it is here, and ``shown``, how the agent gets it."""

    path: Path
    shown: str


@dataclass(frozen=True)
class AgentFiles:
    """The files that a job made; ``note`` says what is wrong with some of them."""

    files: Sequence[AgentFile] = ()
    note: str | None = None


def make_answer(
    lines: Iterable[str], pictures: Sequence[ImageContent] = (), *, is_error: bool = False
) -> CallToolResult:
    """Return an answer with text and pictures."""
    text = "\n".join(lines)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n… and {len(text) - MAX_TEXT} more characters"
    content: list[ContentBlock] = [TextContent(type="text", text=text.encode("utf-8", "replace").decode())]
    return CallToolResult(content=[*content, *pictures], is_error=is_error)


def describe_error(error: RendererError) -> CallToolResult:
    """Return the answer for a request that is refused or failed."""
    message, advice = word_error(error)
    hint = [f"hint: {show_text(advice)}"] if advice else []
    return make_answer([f"error (exit code {int(error.exit_code)}): {show_text(message)}", *hint], is_error=True)


def describe_status(key: str | None, name: str, status: JobStatus) -> list[str]:
    """Return what became of a job: its state, and why it failed or waits, with the lines of the user's code."""
    facts = f" (exit code {status.exit_code})" if status.exit_code else ""
    progress = progress_of(status)
    if not status.state.terminal and progress is not None:
        facts = f", {progress:g} % done"
    lines = [f"{show_line(name)} {status.state}{facts}"] + ([f"job: {key}"] if key else [])
    failed = [unit for unit in status.units if unit.state is JobState.FAILED]
    waiting = [unit for unit in status.units if not unit.state.terminal and unit.problem]
    if (reason := message_of(status)) and not failed:  # else a unit says it better
        lines += [show_line(reason), *_describe_hint(hint_of(status), from_job=False)]
    for unit in (failed or waiting)[:MAX_UNITS]:
        lines += _describe_unit(unit, is_only=len(status.units) == 1)
    if len(failed) > MAX_UNITS:
        lines.append(f"and {len(failed) - MAX_UNITS} more of {len(status.units)} failed")
    return lines


def _describe_unit(unit: UnitStatus, *, is_only: bool) -> list[str]:
    prefix = "" if is_only else f"{show_line(unit.name)}: "
    lines = [f"{prefix}{show_line(message_of(unit) or str(unit.state))}"]
    if unit.details:
        lines.append(show_text(unit.details))
    return lines + _describe_hint(hint_of(unit), from_job=unit.from_job)


def _describe_hint(hint: str | None, *, from_job: bool) -> list[str]:
    return [f"{'the job says' if from_job else 'hint'}: {show_line(hint)}"] if hint else []


def describe_files(found: AgentFiles) -> tuple[list[str], list[ImageContent]]:
    """Return lines about the files of a job, with the warnings of its previews, and the pictures among them."""
    files = found.files
    lines = [show_line(found.note)] if found.note else []
    try:
        previews = previewing.read_previews(file.path for file in files)
    except ResultError as error:
        previews = []
        lines.append(show_line(str(error)))
    for item in previews:
        lines.append(show_line(previewing.summarize(item)))
        warnings = previewing.describe_warnings(item)
        lines += [show_line(text) for text in warnings[:MAX_WARNINGS]]
        if len(warnings) > MAX_WARNINGS:
            lines.append(f"and {len(warnings) - MAX_WARNINGS} more warnings, in the file")
    lines += [f"file: {show_line(file.shown)}" for file in files[:MAX_FILES]]
    if len(files) > MAX_FILES:
        lines.append(f"and {len(files) - MAX_FILES} more files")
    pictures, notes = read_pictures(file.path for file in files)
    return lines + notes, pictures


def describe_log(lines: Sequence[str], total: int) -> CallToolResult:
    """Return the answer with the last lines of a log."""
    shown = [line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in map(show_line, lines)]
    while len(shown) > 1 and sum(map(len, shown)) + len(shown) > MAX_TEXT:
        del shown[0]
    first = [f"the last {len(shown)} of {total} lines:"] if len(shown) < total else []
    return make_answer([*first, *shown] or ["it has printed nothing so far"])
