"""Answers RPCs of the client's protocol by handlers named after them; all others are UNIMPLEMENTED."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from google.protobuf.message import Message
from grpclib import GRPCError, Status
from grpclib.const import Handler
from grpclib.server import Stream
from modal_proto.api_grpc import ModalClientBase
from support.modal_server.state import State, Task

AnyStream = Stream[Any, Any]
IDEMPOTENT = frozenset({"FunctionMap", "FunctionPutInputs"})  # the client's own retries take effect once
CALLER: ContextVar[Mapping[str, str]] = ContextVar("CALLER")
TASK_HEADER = "x-fake-task"
# What a container may send whose function has no access to Modal: what its entry point needs
RESTRICTED = frozenset(
    {"ContainerHello", "ContainerHeartbeat", "FunctionGetInputs", "FunctionPutOutputs", "TaskResult"}
)
RESTRICTED |= {"BlobCreate", "BlobGet", "VolumeCommit", "ClientHello"}


async def _nothing(_self: object, _stream: AnyStream) -> None:
    """Implement an abstract method, so that the protocol's mapping can be read."""


def protocol() -> dict[str, Handler]:
    """Return every RPC of the client's protocol by its path."""
    methods = dict.fromkeys(ModalClientBase.__abstractmethods__, _nothing)
    mapping: dict[str, Handler] = type("Protocol", (ModalClientBase,), methods)().__mapping__()
    return mapping


def handler_name(rpc: str) -> str:
    """Return the name of the method that answers an RPC: app_get_layout for AppGetLayout."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


class Handlers:
    """A group of handlers: methods that take the request and return, or yield, the answer."""

    def __init__(self, state: State) -> None:
        self.state = state

    def task(self) -> Task:
        """Return the container that sent the request."""
        return self.state.tasks[CALLER.get()[TASK_HEADER]]


class Service:
    """The gRPC service."""

    def __init__(self, state: State, groups: Sequence[Handlers]) -> None:
        self.state = state
        self.groups = groups
        self.answers: dict[str, Message] = {}  # of IDEMPOTENT, by the client's key of the request

    def __mapping__(self) -> dict[str, Handler]:
        return {path: entry._replace(func=self._answer(path)) for path, entry in protocol().items()}

    def _answer(self, path: str) -> Callable[[AnyStream], Awaitable[None]]:
        rpc = path.rpartition("/")[2]
        handler = next((found for g in self.groups if (found := getattr(g, handler_name(rpc), None))), None)

        async def answer(stream: AnyStream) -> None:
            request = await stream.recv_message()
            metadata = {key: str(value) for key, value in (stream.metadata or {}).items()}
            CALLER.set(metadata)
            if TASK_HEADER not in metadata:
                self._check_token(metadata)
                if request is not None:
                    self.state.requests.append((rpc, request))
                await self.state.faults.apply(rpc)
            else:
                self._check_access(rpc, self.state.tasks[metadata[TASK_HEADER]])
            if handler is None:
                raise GRPCError(Status.UNIMPLEMENTED, f"the fake Modal server has no {rpc}")
            answered = handler(request)
            if inspect.isasyncgen(answered):
                async for message in answered:
                    await stream.send_message(message)
            else:
                message = await self._once(rpc, metadata.get("x-idempotency-key", ""), answered)
                if TASK_HEADER not in metadata:
                    await self.state.faults.apply_to_answer(rpc)
                await stream.send_message(message)

        return answer

    async def _once(self, rpc: str, key: str, answered: Coroutine[Any, Any, Message]) -> Message:
        """Return the answer; for a request that is sent a second time, the first answer."""
        if rpc not in IDEMPOTENT:
            return await answered
        if key in self.answers:
            answered.close()
        else:
            self.answers[key] = await answered
        return self.answers[key]

    def _check_access(self, rpc: str, task: Task) -> None:
        if task.function.definition.untrusted and rpc not in RESTRICTED:
            self.state.refused.append(rpc)
            raise GRPCError(Status.PERMISSION_DENIED, f"a restricted function may not use {rpc}")

    def _check_token(self, metadata: Mapping[str, str]) -> None:
        self.state.headers.append(dict(metadata))
        token = metadata.get("x-modal-token-id", "")
        if not token or self.state.tokens.get(token) != metadata.get("x-modal-token-secret"):
            raise GRPCError(Status.UNAUTHENTICATED, "Token ID or secret is invalid")
