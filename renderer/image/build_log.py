"""Reads what a container engine prints during a build: the steps, their durations, and the last lines."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TAIL_LINES = 20
_BUILDAH = re.compile(r"(?:\[(\d+/\d+)\] )?STEP (\d+/\d+): (.*)")
_BUILDKIT = re.compile(r"#(\d+) \[(.+?)\] (.*)")
_BUILDKIT_END = re.compile(r"#(\d+) (DONE|CACHED|CANCELED|ERROR)\b")
_BUILDKIT_FAILED = re.compile(r" > \[(.+?)\] ?(.*?):?")  # the step's last lines follow, then lines of the Dockerfile
_BUILDKIT_QUOTED = re.compile(r"-+|\S+:\d+| *\d+ \|.*")


@dataclass(frozen=True)
class Step:
    """One step of a build: an instruction of the Dockerfile.

    ``place`` is its number, such as ``stage-3 4/9``, ``text`` the instruction. ``seconds`` is None while it runs.
    """

    place: str
    text: str
    seconds: float | None = None

    def __str__(self) -> str:
        short = " ".join(self.text.split())
        return f"[{self.place}] {short[:90]}{'…' if len(short) > 90 else ''}"  # noqa: PLR2004  # one line of a screen


class BuildLog:
    """Follows one build. Pass it each line of the output (``feed``), and call ``end`` when the build has ended.

    ``steps`` are the steps that have ended, ``last`` is the one that began last, ``failed`` the one that failed.
    ``tail`` has the last lines of output. ``now`` is a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._running: dict[str, tuple[Step, float]] = {}
        self.steps: list[Step] = []
        self.last: Step | None = None
        self.failed: Step | None = None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, line: str) -> Iterator[Step]:
        """Read the next line of the output. Yield the steps that end with it, then the step that begins with it."""
        if found := _BUILDAH.fullmatch(line):
            yield from self.end()
            yield self._begin("", Step(f"{found[1] or '1/1'} {found[2]}", found[3]))
        elif found := _BUILDKIT_END.match(line):
            yield from self._end(found[1])
        elif (found := _BUILDKIT.fullmatch(line)) and found[1] not in self._running:
            yield self._begin(found[1], Step(found[2], found[3]))
        else:
            self._keep(line)

    def end(self) -> Iterator[Step]:
        """End the steps that still run, and yield them. Call it when the build has ended."""
        for key in list(self._running):
            yield from self._end(key)

    def _keep(self, line: str) -> None:
        """Keep a line in ``tail``, because it may show why the build fails."""
        if found := _BUILDKIT_FAILED.fullmatch(line):
            self.failed = Step(found[1], found[2])
            self.tail.clear()
        elif line.strip() and not (self.failed and _BUILDKIT_QUOTED.fullmatch(line)):
            self.tail.append(line)

    def _begin(self, key: str, step: Step) -> Step:
        self._running[key] = (step, self._now())
        self.last = step
        if not key:
            self.tail.clear()  # steps run one at a time: earlier lines do not explain a failure of this one
        return step

    def _end(self, key: str) -> Iterator[Step]:
        if key in self._running:
            step, began = self._running.pop(key)
            ended = Step(step.place, step.text, round(self._now() - began, 1))
            self.steps.append(ended)
            yield ended
