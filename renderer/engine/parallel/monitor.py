"""The parent's view of its painters: what they tell, how they end, and when there is room for another."""

from __future__ import annotations

import json
import os
import selectors
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backends.errors import OutputError, RendererError
from renderer.engine.abort import Failed, Killed, Unfit
from renderer.engine.parallel.play import Part, Play
from renderer.engine.process.slots import ProcessSlots
from renderer.video.errors import EncoderError

POLL_S = 0.005


@dataclass
class _Child:
    pid: int
    part: Part | None  # None: the encoder of a play
    play: Play
    rest: bytes = b""


class Watch:
    """All children of one scene: painters, and encoders that several painters paint for."""

    def __init__(self, progress: Callable[[int, int | None], None] | None) -> None:
        self._selector = selectors.DefaultSelector()
        self._progress = progress
        self._done = 0
        self.cached = 0
        self.total: int | None = None

    @property
    def encoders(self) -> int:
        """Count the encoders that several painters paint for."""
        return sum(key.data.part is None for key in self._selector.get_map().values())

    def add(self, pid: int, pipe: int, part: Part | None, play: Play) -> None:
        """Watch a new child."""
        os.set_blocking(pipe, False)
        self._selector.register(pipe, selectors.EVENT_READ, _Child(pid, part, play))

    def slot(self, children: ProcessSlots, limit: int) -> int:
        """Wait for room for one more painter; give the descriptor that it must hold."""
        while (slot := children.take(limit)) is None:
            self._listen(POLL_S)
        self._listen(0)
        return slot

    def until(self, condition: Callable[[], bool]) -> None:
        """Listen until it holds, or until all have ended."""
        while not condition() and self._selector.get_map():
            self._listen(None)

    def finish(self) -> None:
        """Wait until all have ended."""
        self.until(lambda: False)

    def abort(self, play: Play | None = None) -> None:
        """Kill all, or those of one play, and wait for their end."""
        for key in list(self._selector.get_map().values()):
            if play and key.data.play is not play:
                continue
            with suppress(ProcessLookupError):
                os.kill(key.data.pid, signal.SIGKILL)
            self._reap(key)

    def check(self, part: Part) -> None:
        """Compare the states of parent and child at the end of a part, once both are known."""
        if part.expected and part.reached and part.expected != part.reached:
            raise Unfit(f"painting play {part.play} led to another state than stepping it")

    def _listen(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            data = os.read(key.fd, 65536)
            lines = (key.data.rest + data).split(b"\n")
            key.data.rest = lines.pop()
            for line in lines:
                self._hear(key.data, json.loads(line))
            if not data:
                self._ended(key.data, self._reap(key))

    def _hear(self, child: _Child, message: dict[str, Any]) -> None:
        if "error" in message:
            raise _error(message)
        play, part = child.play, child.part
        play.cache_key = message.get("cache_key", play.cache_key)
        play.likely = message.get("likely", play.likely)
        if "taken" in message:
            play.take(message["taken"])
        if play.joining and "joined" in message:
            play.joining.encoded = message["joined"]
        self.cached += message.get("cached", 0)
        if "frames" in message:
            self.count(message["frames"])
        if part and "digest" in message:
            part.reached = message["digest"]
            self.check(part)

    def count(self, frames: int) -> None:
        """Count frames that are painted."""
        self._done += frames
        if self._progress:
            self._progress(self._done, self.total)

    def _reap(self, key: selectors.SelectorKey) -> int:
        self._selector.unregister(key.fd)
        os.close(key.fd)
        _, status = os.waitpid(key.data.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _ended(self, child: _Child, code: int) -> None:
        if code == -signal.SIGKILL:
            raise Killed(child.play.number)
        if code or (child.part and child.part.reached is None):
            raise Unfit(f"a painter of play {child.play.number} ended with {code}")
        child.play.encoded |= child.part is None


def _error(message: dict[str, Any]) -> BaseException:
    text, hint = message["text"], message["hint"]
    kinds: dict[str, type[RendererError]] = {"encoder": EncoderError, "output": OutputError}
    if message["error"] in kinds:
        return Failed(kinds[message["error"]](text, hint=hint))
    if message["error"] == "memory":
        return Killed(-1)
    if message["error"] == "unfit":
        return Unfit(text)
    return Unfit(f"painting raised {text}, where stepping did not")
