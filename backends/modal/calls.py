"""Asks Modal about calls of the deployed function, and cancels them.

What a container answers is read as bytes. The client's own ``FunctionCall.get`` would unpickle it, and so run the
container's code here: nothing of this project uses that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.modal.session import ANSWER_TIMEOUT_S, Session

if TYPE_CHECKING:
    from modal_proto.api_pb2 import FunctionGetOutputsItem, FunctionGetOutputsResponse

CONCURRENT_REQUESTS = 50
UNIT_TIMEOUT_S = 0.1  # for each unit more, when many are asked about
EXPIRED = "EXPIRED"  # the status of a unit that Modal has forgotten


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Modal says about a unit that has ended. All but ``status`` comes from the container: it may be anything.

    ``status`` is the name of Modal's GenericStatus, without its prefix, or EXPIRED. ``text`` is the text of the error,
    and ``raised`` tells an exception of the function from the loss of its container. ``data`` is what the function
    returned, in CBOR; None for any other format.
    """

    status: str
    text: str = ""
    raised: bool = False
    data: bytes | None = None


def fetch_answers(
    session: Session, call_id: str, units: Sequence[int], *, wait: float = 0.0
) -> list[Answer | BaseException | None]:
    """Return, for each unit, the answer or the error that Modal's client raised.

    For a unit that has not ended after ``wait`` more seconds, it is None.
    """

    async def fetch_all() -> list[Answer | BaseException | None]:
        turn = asyncio.Semaphore(CONCURRENT_REQUESTS)

        async def fetch_one(unit: int) -> Answer | BaseException | None:
            async with turn:
                try:
                    return await _fetch_answer(session, call_id, unit, wait)
                except Exception as error:  # noqa: BLE001  # the caller finds out what it means
                    return error

        return await asyncio.gather(*(fetch_one(unit) for unit in units))

    seconds = ANSWER_TIMEOUT_S + wait + len(units) * UNIT_TIMEOUT_S
    return session.call(lambda: asyncio.run(fetch_all()), seconds=seconds)


async def _fetch_answer(session: Session, call_id: str, unit: int, wait: float) -> Answer | None:
    from modal._utils.async_utils import synchronize_api
    from modal_proto.api_pb2 import FunctionGetOutputsRequest

    async def get_outputs(client: Any) -> FunctionGetOutputsResponse:  # the client behind modal.Client
        request = FunctionGetOutputsRequest(
            function_call_id=call_id,
            timeout=wait,
            last_entry_id="0-0",
            requested_at=time.time(),
            start_idx=unit,
            end_idx=unit,
        )
        response: FunctionGetOutputsResponse = await client._stub.FunctionGetOutputs(request)  # noqa: SLF001
        return response

    try:
        client = await session.modal.Client.from_env.aio()
        response = await synchronize_api(get_outputs, __name__).aio(client)  # type: ignore[no-untyped-call]  # runs it in the client's own loop
    except session.modal.exception.NotFoundError:
        return Answer(status=EXPIRED)
    for item in response.outputs:
        if item.idx == unit:
            return _read_item(item)
    return None if response.num_unfinished_inputs else Answer(status=EXPIRED)


def _read_item(item: FunctionGetOutputsItem) -> Answer:
    from modal_proto.api_pb2 import DATA_FORMAT_CBOR, GenericResult

    result = item.result
    try:
        status = GenericResult.GenericStatus.Name(result.status).removeprefix("GENERIC_STATUS_")
    except ValueError:  # a status of a newer protocol
        status = str(result.status)
    inline = item.data_format == DATA_FORMAT_CBOR and result.WhichOneof("data_oneof") == "data"
    data = result.data if inline else None
    return Answer(status=status, text=result.exception, raised=bool(result.traceback), data=data)


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
