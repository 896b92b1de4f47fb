"""Things at the same time, in threads that do not hold the program up when it is interrupted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(action: Callable[[], T]) -> Future[T]:
    """Begin something in a thread of its own; an executor's threads would be waited for when the program ends."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def results(actions: Iterable[Callable[[], T]]) -> list[T]:
    """Do all of them at the same time; gives the results in their order, or raises the first error."""
    return [future.result() for future in [start(action) for action in actions]]


class Crew:
    """Up to ``most`` threads that do what is given to them, in that order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def do(self, action: Callable[[], object]) -> None:
        """Have it done when a thread is free."""
        self._work.put(action)
        if len(self._threads) < self._most:
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()

    def finish(self) -> None:
        """Wait until everything is done."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (action := self._work.get()) is not None:
            action()
