"""Asks Modal about calls of the deployed function, and cancels them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backends.modal.session import ANSWER_TIMEOUT_S, Session

CONCURRENT_REQUESTS = 50
UNIT_TIMEOUT_S = 0.1  # for each unit more, when many are asked about


def fetch_answers(session: Session, call_id: str, units: Sequence[int], *, wait: float = 0.0) -> list[object]:
    """Return, for each unit, the function's result or the error that Modal's client raised.

    For a unit that has not ended after ``wait`` more seconds, it is a TimeoutError.
    """

    async def fetch_all() -> list[object]:
        call = session.modal.FunctionCall.from_id(call_id)
        turn = asyncio.Semaphore(CONCURRENT_REQUESTS)

        async def fetch_one(unit: int) -> object:
            async with turn:
                try:
                    return await call.get.aio(timeout=wait, index=unit)
                except Exception as error:  # noqa: BLE001  # the caller finds out what it means
                    return error

        return await asyncio.gather(*(fetch_one(unit) for unit in units))

    seconds = ANSWER_TIMEOUT_S + wait + len(units) * UNIT_TIMEOUT_S
    return session.call(lambda: asyncio.run(fetch_all()), seconds=seconds)


def list_input_states(session: Session, call_id: str) -> list[str]:
    """Return the state of each input of a call, such as PENDING or TERMINATED; an empty list for an unknown call."""

    def read_graph() -> list[str]:
        try:
            graph = session.modal.FunctionCall.from_id(call_id).get_call_graph()
        except session.modal.exception.NotFoundError:
            return []
        return [item.status.name for item in graph if item.function_call_id == call_id]

    return session.call(read_graph)


def cancel_call(session: Session, call_id: str, *, kill: bool = False) -> None:
    """Ask Modal to end a call; with ``kill`` also to end its containers."""
    call = session.modal.FunctionCall.from_id(call_id)
    session.call(lambda: call.cancel(terminate_containers=kill))
