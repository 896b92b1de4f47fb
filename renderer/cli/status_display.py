"""Shows the status of a job while the user waits: progress bars on a terminal, otherwise a line for each change."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from backends import JobState, JobStatus
from backends.untrusted import show_line
from renderer.cli.output import MOST_UNITS, count_line, hint_lines, print_message, show_job_text

LINES = 20  # about so many lines report the progress of many units


class StatusDisplay(AbstractContextManager["StatusDisplay"]):
    """Shows statuses on stderr: as progress bars on a terminal, otherwise as lines; nothing if ``quiet``."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown: _Bars | _Lines | None = None
        if not quiet:
            self._shown = _Bars() if sys.stderr.isatty() else _Lines()

    def __enter__(self) -> Self:
        return self

    def show(self, status: JobStatus) -> None:
        """Show the newest status."""
        if self._shown:
            self._shown.show(status)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._shown.close()


class _Bars:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self.bars = Progress(*columns, TextColumn("{task.fields[state]}", markup=False), console=Console(stderr=True))
        self.tasks: dict[int, TaskID] = {}
        self.hint: str | None = None
        self.bars.start()

    def show(self, status: JobStatus) -> None:
        if not status.state.terminal and status.hint != self.hint:
            self.hint = status.hint
            for line in hint_lines(status.hint):
                self.bars.console.print(line, markup=False, highlight=False)
        if len(status.units) > MOST_UNITS:
            done = sum(unit.state.terminal for unit in status.units)
            self._update(0, f"{status.name} ({len(status.units)})", 100 * done / len(status.units), status.state)
            return
        for index, unit in enumerate(status.units):
            finished = 100.0 if unit.state is JobState.SUCCEEDED else None
            state = status.reason if unit.state is JobState.PENDING and status.reason else unit.state.value
            if unit.state is JobState.RUNNING and unit.message:
                state = unit.message
            self._update(index, unit.name, finished or unit.progress, state)

    def _update(self, index: int, name: str, percent: float | None, state: str) -> None:
        name, state = show_line(name), show_job_text(state)
        if index not in self.tasks:
            self.tasks[index] = self.bars.add_task(name, total=100, state=state)
        self.bars.update(self.tasks[index], completed=percent, state=state)

    def close(self) -> None:
        self.bars.stop()


class _Lines:
    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def show(self, status: JobStatus) -> None:
        if status.reason and not status.state.terminal and self._print("", status.reason):
            for line in hint_lines(status.hint):
                print_message(line)
        if len(status.units) > MOST_UNITS:
            ended = sum(unit.state.terminal for unit in status.units)
            self._print(status.name, count_line(status), step=str(LINES * ended // len(status.units)))
            return
        for unit in status.units:
            if unit.state is not JobState.PENDING:
                self._print(unit.name, unit.state.value)

    def _print(self, name: str, text: str, *, step: str | None = None) -> bool:
        """Print the text, if it or, with a ``step``, the step is not that of the last line of this name.

        Return whether it was printed.
        """
        name, text = show_line(name), show_job_text(text)
        if self.seen.get(name) == (step or text):
            return False
        self.seen[name] = step or text
        print_message(f"{name}: {text}" if name else text)
        return True

    def close(self) -> None:
        """Do nothing: only progress bars need to be closed."""
