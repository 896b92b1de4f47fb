"""Modal's client: it is imported at the first call, and every call has a time limit."""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import TypeVar

from backends.errors import BackendError, RendererError
from backends.modal.errors import make_timeout_error, translate_error
from backends.modal.options import ModalOptions

ANSWER_TIMEOUT_S = 10.0  # Modal's client itself would try for a minute
CLOSE_TIMEOUT_S = 2.0
ResultT = TypeVar("ResultT")
_log = logging.getLogger(__name__)


class Session:
    """The connection to Modal."""

    def __init__(self, options: ModalOptions) -> None:
        self.options = options

    @cached_property
    def modal(self) -> ModuleType:
        """The client's module, which reads the user's settings when it is imported. Raises BackendError."""
        if self.options.profile:
            os.environ["MODAL_PROFILE"] = self.options.profile  # the client reads it only from there
        try:
            return importlib.import_module("modal")
        except ModuleNotFoundError as error:
            hint = "pip install 'manim-renderer[modal]'"
            raise BackendError(f"the backend 'modal' needs the Python package {error.name!r}", hint=hint) from error
        except Exception as error:
            raise translate_error(error) from error

    @property
    def environment(self) -> str | None:
        """The Modal environment that the user chose."""
        return self.options.environment

    def call(self, action: Callable[[], ResultT], *, seconds: float = ANSWER_TIMEOUT_S) -> ResultT:
        """Call ``action``, which uses Modal's client, and return its result.

        Raises TransientError if it takes more than ``seconds``. Errors of the client are raised as RendererError.
        """
        modal_error = self.modal.exception.Error
        done: queue.SimpleQueue[tuple[ResultT | None, BaseException | None]] = queue.SimpleQueue()
        name, started = action.__qualname__.partition(".<locals>")[0], time.monotonic()

        def run() -> None:
            try:
                done.put((action(), None))
            except BaseException as error:  # noqa: BLE001  # raised again by the waiting thread
                done.put((None, error))

        threading.Thread(target=run, name="modal-call", daemon=True).start()
        try:
            result, error = done.get(timeout=seconds)
        except queue.Empty:
            _log.debug("Modal: %s got no answer within %.1f s", name, seconds)
            self._close_client()
            with suppress(queue.Empty):
                done.get(timeout=CLOSE_TIMEOUT_S)
            raise make_timeout_error(seconds) from None
        took = time.monotonic() - started
        _log.debug("Modal: %s %s after %.3f s", name, type(error).__name__ if error else "done", took)
        if error is None:
            return result  # type: ignore[return-value]  # there is one where there is no error
        if isinstance(error, RendererError):
            raise error
        if isinstance(error, modal_error) or type(error).__module__.startswith("aiohttp"):
            raise translate_error(error) from error
        raise error

    def _close_client(self) -> None:
        """Close the client, so that calls that still wait in it end. The next call opens a new one."""

        def close() -> None:
            with suppress(Exception):
                self.modal.Client.from_env().close()

        closing = threading.Thread(target=close, name="modal-close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)
