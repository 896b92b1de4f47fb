"""Runs calls at the same time, in daemon threads.

concurrent.futures is not used: Python waits for its threads at exit, so that Ctrl-C would wait for the network.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start_thread(action: Callable[[], T]) -> Future[T]:
    """Start ``action`` in a new thread, and return a Future of its result."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001 - the caller of result() gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def run_all(actions: Iterable[Callable[[], T]]) -> list[T]:
    """Run all actions at the same time. Return the results in order, or raise the first error."""
    return [future.result() for future in [start_thread(action) for action in actions]]


class ThreadPool:
    """Runs actions in the order in which they are submitted, in at most ``max_threads`` threads."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._actions: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, action: Callable[[], object]) -> None:
        """Run ``action`` as soon as a thread is free."""
        self._actions.put(action)
        if len(self._threads) < self._max_threads:
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()

    def finish(self) -> None:
        """Wait until all actions have been run."""
        for _ in self._threads:
            self._actions.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (action := self._actions.get()) is not None:
            action()
