"""Handlers of functions: created at deployment, looked up and bound to options by submit."""

from __future__ import annotations

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers
from support.modal_server.state import Function, State, find

GPUS = frozenset({"", "T4", "L4", "A10", "A10G", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000"}) | {
    "H100",
    "H100!",
    "H200",
    "B200",
}


def handle_metadata(state: State, function_id: str) -> pb.FunctionHandleMetadata:
    """Return the description of a function that the client keeps."""
    function = state.functions.get(function_id)
    source = function.definition if function else state.precreated[function_id]
    app_id = function.app_id if function else state.precreated[function_id].app_id
    return pb.FunctionHandleMetadata(
        function_name=source.function_name,
        function_type=source.function_type,
        app_id=app_id,
        definition_id=f"de-{function_id[3:]}",
        function_schema=source.function_schema,
        supported_input_formats=source.supported_input_formats,
        supported_output_formats=source.supported_output_formats,
    )


def function_data(definition: pb.Function) -> pb.FunctionData:
    """Return one definition in the message that can hold several."""
    data = pb.FunctionData(
        module_name=definition.module_name,
        function_name=definition.function_name,
        timeout_secs=definition.timeout_secs,
    )
    data.ranked_functions.add(rank=0, function=definition)
    return data


class FunctionHandlers(Handlers):
    """Creating, finding and binding functions."""

    async def function_precreate(self, request: pb.FunctionPrecreateRequest) -> pb.FunctionPrecreateResponse:
        function_id = request.existing_function_id or self.state.new_id("fu")
        self.state.precreated[function_id] = request
        return pb.FunctionPrecreateResponse(
            function_id=function_id, handle_metadata=handle_metadata(self.state, function_id)
        )

    async def function_create(self, request: pb.FunctionCreateRequest) -> pb.FunctionCreateResponse:
        ranked = request.function_data if request.HasField("function_data") else None
        definition = ranked.ranked_functions[0].function if ranked else request.function
        _check(definition)
        function = Function(request.existing_function_id, request.app_id, definition, ranked)
        self.state.functions[function.function_id] = function
        return pb.FunctionCreateResponse(
            function_id=function.function_id,
            function=definition,
            handle_metadata=handle_metadata(self.state, function.function_id),
            function_data=ranked or function_data(definition),
        )

    async def function_get(self, request: pb.FunctionGetRequest) -> pb.FunctionGetResponse:
        for app in reversed(self.state.apps.values()):
            if app.name == request.app_name and app.state == pb.APP_STATE_DEPLOYED:
                function = self.state.functions[app.layout.function_ids[request.object_tag]]
                return pb.FunctionGetResponse(
                    function_id=function.function_id,
                    handle_metadata=handle_metadata(self.state, function.function_id),
                    function=function.ranked or function_data(function.definition),
                )
        raise GRPCError(Status.NOT_FOUND, f"App '{request.app_name}' not found")

    async def function_bind_params(self, request: pb.FunctionBindParamsRequest) -> pb.FunctionBindParamsResponse:
        base = find(self.state.functions, request.function_id, "Function")
        ranked = pb.FunctionData()
        if base.ranked:
            ranked.CopyFrom(base.ranked)
            for item in ranked.ranked_functions:
                item.function.CopyFrom(_with_options(item.function, request.function_options))
        definition = _with_options(base.definition, request.function_options)
        bound = Function(self.state.new_id("fu"), base.app_id, definition, ranked if base.ranked else None)
        self.state.functions[bound.function_id] = bound
        return pb.FunctionBindParamsResponse(
            bound_function_id=bound.function_id, handle_metadata=handle_metadata(self.state, bound.function_id)
        )


def _with_options(base: pb.Function, options: pb.FunctionOptions) -> pb.Function:
    function = pb.Function()
    function.CopyFrom(base)
    if options.HasField("resources"):
        function.resources.MergeFrom(options.resources)
    if options.HasField("timeout_secs"):
        function.timeout_secs = options.timeout_secs
    if options.HasField("retry_policy"):
        function.retry_policy.CopyFrom(options.retry_policy)
    if options.HasField("concurrency_limit"):
        function.autoscaler_settings.max_containers = options.concurrency_limit
    if options.HasField("scheduler_placement"):
        function.scheduler_placement.CopyFrom(options.scheduler_placement)
    if options.replace_volume_mounts:
        del function.volume_mounts[:]
        function.volume_mounts.extend(options.volume_mounts)
    if options.replace_secret_ids:
        del function.secret_ids[:]
        function.secret_ids.extend(options.secret_ids)
    _check(function)
    return function


def _check(function: pb.Function) -> None:
    gpu = function.resources.gpu_config.gpu_type
    if gpu not in GPUS:
        raise GRPCError(Status.INVALID_ARGUMENT, f"{gpu} is not a valid GPU type")
    if not 0 < function.timeout_secs <= 24 * 3600:
        raise GRPCError(Status.INVALID_ARGUMENT, "timeout must be between 1 second and 24 hours")
