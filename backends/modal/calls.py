"""Calls of the deployed function: asked how they are, and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backends.modal.session import ANSWER_S, Session

ASKED_AT_ONCE = 50
EACH_S = 0.1  # the slowest pace at which many are asked


def answers(session: Session, call_id: str, units: Sequence[int], *, wait: float = 0.0) -> list[object]:
    """Give what Modal says of each unit after at most ``wait`` seconds: its result, or the error that stands for it."""

    async def ask_all() -> list[object]:
        call = session.modal.FunctionCall.from_id(call_id)
        turn = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask_one(unit: int) -> object:
            async with turn:
                try:
                    return await call.get.aio(timeout=wait, index=unit)
                except Exception as error:  # noqa: BLE001  # an error is an answer, too
                    return error

        return await asyncio.gather(*(ask_one(unit) for unit in units))

    return session.call(lambda: asyncio.run(ask_all()), seconds=ANSWER_S + wait + len(units) * EACH_S)


def input_states(session: Session, call_id: str) -> list[str]:
    """Name the state of each input of a call, such as PENDING or TERMINATED; none for a call that Modal forgot."""

    def look() -> list[str]:
        try:
            graph = session.modal.FunctionCall.from_id(call_id).get_call_graph()
        except session.modal.exception.NotFoundError:
            return []
        return [item.status.name for item in graph if item.function_call_id == call_id]

    return session.call(look)


def cancel(session: Session, call_id: str, *, kill: bool = False) -> None:
    """Ask Modal to end a call; with ``kill`` its containers, too."""
    call = session.modal.FunctionCall.from_id(call_id)
    session.call(lambda: call.cancel(terminate_containers=kill))
