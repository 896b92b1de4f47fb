"""What the fake Modal server knows: apps, functions, volumes, calls, containers and logs."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb
from support.modal_server.faults import Faults

SUCCESS = pb.GenericResult.GENERIC_STATUS_SUCCESS
FAILURE = pb.GenericResult.GENERIC_STATUS_FAILURE
TERMINATED = pb.GenericResult.GENERIC_STATUS_TERMINATED
TIMEOUT = pb.GenericResult.GENERIC_STATUS_TIMEOUT

LOST = "The container was lost before it gave an output"
FoundT = TypeVar("FoundT")


@dataclass
class App:
    app_id: str
    name: str
    tags: dict[str, str]
    state: int
    layout: pb.AppLayout = field(default_factory=pb.AppLayout)
    commit_info: pb.CommitInfo | None = None


@dataclass
class Function:
    function_id: str
    app_id: str
    definition: pb.Function
    ranked: pb.FunctionData | None = None  # several GPUs in order of preference
    waiting: deque[Input] = field(default_factory=deque)


@dataclass
class Input:
    input_id: str
    index: int
    call: Call
    data: pb.FunctionInput
    retries: int = 0
    task_id: str = ""
    output: pb.FunctionGetOutputsItem | None = None

    def finish(self, result: pb.GenericResult, data_format: int = 0) -> None:
        """Keep the input's first output; later ones come from containers that should have stopped."""
        if self.output is None:
            self.output = pb.FunctionGetOutputsItem(
                result=result,
                idx=self.index,
                input_id=self.input_id,
                data_format=pb.DataFormat.ValueType(data_format),
                task_id=self.task_id,
                output_created_at=time.time(),
                retry_count=self.retries,
            )
            self.call.changed()

    def end(self, status: pb.GenericResult.GenericStatus.ValueType, message: str) -> None:
        """Finish the input without a value."""
        self.finish(pb.GenericResult(status=status, exception=message))


@dataclass
class Call:
    call_id: str
    function: Function
    inputs: dict[int, Input] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    expired: bool = False
    event: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self) -> None:
        """Wake all who wait for an output."""
        self.event.set()
        self.event = asyncio.Event()


@dataclass
class Task:
    """One container (Modal's word is task): ``current`` is the input that it works on."""

    task_id: str
    function: Function
    folder: Path
    current: Input | None = None
    preempted: bool = False
    used: bool = False
    lost: pb.GenericResult = field(default_factory=lambda: pb.GenericResult(status=FAILURE, exception=LOST))
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None


@dataclass(frozen=True)
class LogItem:
    app_id: str
    function_id: str
    batch: pb.TaskLogsBatch

    @property
    def item(self) -> pb.TaskLogs:
        return self.batch.items[0]


@dataclass
class State:
    """Everything. ``requests`` are the clients' requests in order; ``folder`` holds the bytes."""

    folder: Path
    tokens: dict[str, str]
    builder_version: str = "2025.06"
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, Message]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # requests of containers that may not use Modal's API
    headers: list[dict[str, str]] = field(default_factory=list)
    apps: dict[str, App] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    precreated: dict[str, pb.FunctionPrecreateRequest] = field(default_factory=dict)
    images: dict[str, pb.Image] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    mounts: dict[str, list[pb.MountFile]] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)  # name to id
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    named_secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    logs: list[LogItem] = field(default_factory=list)
    new_logs: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    http_url: str = ""
    grpc_url: str = ""

    def new_id(self, prefix: str) -> str:
        """Return a new id in Modal's format."""
        return f"{prefix}-{next(self.numbers):022d}"

    def path(self, kind: str, name: str = "") -> Path:
        """Return a path in one of the folders blobs, blocks, files, volumes and tasks."""
        folder = self.folder / kind
        folder.mkdir(exist_ok=True)
        return folder / name

    def log(self, task: Task, text: str, descriptor: pb.FileDescriptor.ValueType) -> None:
        """Keep what a container printed, in the pieces in which it came."""
        item = pb.TaskLogs(data=text, timestamp=time.time(), timestamp_ns=time.time_ns(), file_descriptor=descriptor)
        batch = pb.TaskLogsBatch(task_id=task.task_id, entry_id=f"{len(self.logs) + 1}-0", items=[item])
        if task.current:
            batch.input_id = task.current.input_id
            batch.items[0].function_call_id = task.current.call.call_id
        self.logs.append(LogItem(task.function.app_id, task.function.function_id, batch))
        self.new_logs.set()
        self.new_logs = asyncio.Event()


def find(table: dict[str, FoundT], key: str, what: str) -> FoundT:
    """Return an object of the table. Raises GRPCError with NOT_FOUND."""
    try:
        return table[key]
    except KeyError:
        raise GRPCError(Status.NOT_FOUND, f"{what} '{key}' not found") from None
