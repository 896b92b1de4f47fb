"""Handlers of requests that containers send."""

from __future__ import annotations

import asyncio

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers
from support.modal_server.containers.scheduler import Scheduler
from support.modal_server.state import State

HEARTBEAT_INTERVAL_S = 10.0


class ContainerHandlers(Handlers):
    """Gives inputs to containers and takes their outputs."""

    def __init__(self, state: State, scheduler: Scheduler) -> None:
        super().__init__(state)
        self.scheduler = scheduler

    async def container_hello(self, _request: Empty) -> Empty:
        return Empty()

    async def container_heartbeat(self, _request: pb.ContainerHeartbeatRequest) -> pb.ContainerHeartbeatResponse:
        task = self.task()
        response = pb.ContainerHeartbeatResponse()
        try:
            await asyncio.wait_for(task.cancelled.wait(), HEARTBEAT_INTERVAL_S)  # so that a cancel arrives at once
        except TimeoutError:
            return response
        task.cancelled.clear()
        if task.current and not self.state.faults.ignores_cancel:
            response.cancel_input_event.input_ids.append(task.current.input_id)
        return response

    async def function_get_inputs(self, _request: pb.FunctionGetInputsRequest) -> pb.FunctionGetInputsResponse:
        item = self.scheduler.next_input(self.task())
        response = pb.FunctionGetInputsResponse()
        if item is None:
            response.inputs.add(kill_switch=True)
        else:
            response.inputs.add(
                input_id=item.input_id,
                input=item.data,
                function_call_id=item.call.call_id,
                function_call_invocation_type=pb.FUNCTION_CALL_INVOCATION_TYPE_ASYNC,
                retry_count=item.retries,
            )
        return response

    async def function_put_outputs(self, request: pb.FunctionPutOutputsRequest) -> Empty:
        for output in request.outputs:
            self.scheduler.put_output(self.task(), output.result, output.data_format)
        return Empty()

    async def task_result(self, request: pb.TaskResultRequest) -> Empty:
        self.scheduler.put_output(self.task(), request.result, 0)
        return Empty()
