"""Modal's client, imported at the first call; every short call is bounded in time."""

from __future__ import annotations

import importlib
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

from backends.errors import BackendError, RendererError
from backends.modal.errors import in_words, no_answer
from backends.modal.options import ModalOptions

ANSWER_S = 10.0  # the client itself would try for a minute
HANG_UP_S = 2.0
ResultT = TypeVar("ResultT")


class Session:
    """The way to Modal."""

    def __init__(self, options: ModalOptions) -> None:
        self.options = options

    @cached_property
    def modal(self) -> Any:
        """The client's module. It reads the user's settings when it is imported."""
        if self.options.profile:
            os.environ["MODAL_PROFILE"] = self.options.profile  # the only way in
        try:
            return importlib.import_module("modal")
        except ModuleNotFoundError as error:
            hint = "pip install 'manim-renderer[modal]'"
            raise BackendError(f"the backend 'modal' needs the Python package {error.name!r}", hint=hint) from error
        except Exception as error:
            raise in_words(error) from error

    @property
    def environment(self) -> str | None:
        """The Modal environment that the user names."""
        return self.options.environment

    def call(self, action: Callable[[], ResultT], *, seconds: float = ANSWER_S) -> ResultT:
        """Do something with the client, within ``seconds``.

        Raises TransientError when Modal does not answer in time, and Modal's own errors in words.
        """
        modal_error = self.modal.exception.Error
        done: queue.SimpleQueue[tuple[ResultT | None, BaseException | None]] = queue.SimpleQueue()

        def act() -> None:
            try:
                done.put((action(), None))
            except BaseException as error:  # noqa: BLE001  # handed to the waiting thread
                done.put((None, error))

        threading.Thread(target=act, name="modal-call", daemon=True).start()
        try:
            result, error = done.get(timeout=seconds)
        except queue.Empty:
            self._hang_up()
            with suppress(queue.Empty):
                done.get(timeout=HANG_UP_S)
            raise no_answer(seconds) from None
        if error is None:
            return result  # type: ignore[return-value]  # there is one where there is no error
        if isinstance(error, RendererError):
            raise error
        if isinstance(error, modal_error) or type(error).__module__.startswith("aiohttp"):
            raise in_words(error) from error
        raise error

    def _hang_up(self) -> None:
        """Close the client, which ends what still waits in it; the next call opens another."""

        def close() -> None:
            with suppress(Exception):
                self.modal.Client.from_env().close()

        closing = threading.Thread(target=close, name="modal-close", daemon=True)
        closing.start()
        closing.join(HANG_UP_S)
