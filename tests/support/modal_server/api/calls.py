"""Handlers of calls: taking inputs, waiting for outputs, cancelling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers
from support.modal_server.containers.scheduler import Scheduler
from support.modal_server.state import SUCCESS, TERMINATED, TIMEOUT, Call, Input, State, find


class CallHandlers(Handlers):
    """The life of a call."""

    def __init__(self, state: State, scheduler: Scheduler) -> None:
        super().__init__(state)
        self.scheduler = scheduler

    async def function_map(self, request: pb.FunctionMapRequest) -> pb.FunctionMapResponse:
        function = find(self.state.functions, request.function_id, "Function")
        call = Call(self.state.new_id("fc"), function)
        self.state.calls[call.call_id] = call
        response = pb.FunctionMapResponse(
            function_call_id=call.call_id,
            function_call_jwt=call.call_id,
            max_inputs_outstanding=1000,
            retry_policy=function.definition.retry_policy,
        )
        response.pipelined_inputs.extend(self._take(call, request.pipelined_inputs))
        return response

    async def function_put_inputs(self, request: pb.FunctionPutInputsRequest) -> pb.FunctionPutInputsResponse:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        return pb.FunctionPutInputsResponse(inputs=self._take(call, request.inputs))

    async def function_finish_inputs(self, _request: pb.FunctionFinishInputsRequest) -> Empty:
        return Empty()

    async def function_call_from_id(self, request: pb.FunctionCallFromIdRequest) -> pb.FunctionCallFromIdResponse:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        metadata = pb.FunctionCallHandleMetadata(app_id=call.function.app_id, function_id=call.function.function_id)
        return pb.FunctionCallFromIdResponse(
            function_call_id=call.call_id, num_inputs=len(call.inputs), metadata=metadata
        )

    async def function_get_outputs(self, request: pb.FunctionGetOutputsRequest) -> pb.FunctionGetOutputsResponse:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        end = time.monotonic() + request.timeout
        while True:
            changed = call.event
            wanted = [item for item in call.inputs.values() if request.start_idx <= item.index <= request.end_idx]
            outputs = [] if call.expired else [item.output for item in wanted if item.output]
            left = end - time.monotonic()
            if outputs or call.expired or left <= 0:
                break
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue
        unfinished = 0 if call.expired else sum(item.output is None for item in call.inputs.values())
        return pb.FunctionGetOutputsResponse(
            outputs=outputs, idxs=[out.idx for out in outputs], last_entry_id="1-0", num_unfinished_inputs=unfinished
        )

    async def function_call_get_info(self, request: pb.FunctionCallGetInfoRequest) -> pb.FunctionCallGetInfoResponse:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        info = pb.FunctionCallInfo(
            function_call_id=call.call_id, created_at=call.created, total_inputs=len(call.inputs)
        )
        for item in call.inputs.values():
            status = item.output.result.status if item.output else None
            known = {None: info.pending_inputs, SUCCESS: info.succeeded_inputs, TERMINATED: info.cancelled_inputs}
            category = info.timeout_inputs if status == TIMEOUT else known.get(status, info.failed_inputs)
            category.total += 1
        return pb.FunctionCallGetInfoResponse(info=info)

    async def function_get_call_graph(self, request: pb.FunctionGetCallGraphRequest) -> pb.FunctionGetCallGraphResponse:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        response = pb.FunctionGetCallGraphResponse()
        response.function_calls.add(function_call_id=call.call_id, function_name="render")
        for item in call.inputs.values():
            status = item.output.result.status if item.output else pb.GenericResult.GENERIC_STATUS_UNSPECIFIED
            response.inputs.add(
                input_id=item.input_id, function_call_id=call.call_id, task_id=item.task_id, status=status
            )
        return response

    async def function_call_cancel(self, request: pb.FunctionCallCancelRequest) -> Empty:
        call = find(self.state.calls, request.function_call_id, "FunctionCall")
        for item in call.inputs.values():
            if item.output is None:
                self.scheduler.cancel(item, terminate=request.terminate_containers)
        return Empty()

    def _take(self, call: Call, items: Iterable[pb.FunctionPutInputsItem]) -> list[pb.FunctionPutInputsResponseItem]:
        answered = []
        for item in items:
            taken = Input(self.state.new_id("in"), item.idx, call, item.input)
            call.inputs[item.idx] = taken
            self.scheduler.queue(taken)
            answered.append(
                pb.FunctionPutInputsResponseItem(idx=item.idx, input_id=taken.input_id, input_jwt=taken.input_id)
            )
        return answered
