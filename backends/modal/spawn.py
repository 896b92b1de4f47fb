"""Calls the deployed function, and makes sure that no unknown job runs if Modal's answer is lost.

Without an answer, it is not known whether Modal received the call. Then a file beside the inputs withdraws the job, and
the function ends at once if it finds that file. So the job does not run twice if the user submits it again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from backends.errors import TransientError
from backends.modal.call_store import CallRecord
from backends.modal.request import (
    FUNCTION,
    INPUTS_MOUNT,
    OUTPUTS_MOUNT,
    SHARD_CALLS,
    SHARDS_FUNCTION,
    WITHDRAWN,
    ModalRequest,
)
from backends.modal.session import ANSWER_TIMEOUT_S, Session
from backends.modal.volume import Files
from backends.worker_protocol import RETRIED

if TYPE_CHECKING:
    from modal import Volume

    from backends.modal.deploy.render_function import UnitInput
    from backends.modal.deploy.shard_function import ShardsInput

_log = logging.getLogger(__name__)


def spawn_call(
    session: Session, inputs: Files, mounts: dict[str, Volume], request: ModalRequest, record: CallRecord
) -> str:
    """Call the function, with an input for each unit; return the id of the call.

    ``mounts`` are the job's own folders on the volumes, by their paths in the container. Raises TransientError if Modal
    does not answer.
    """
    try:
        call = _send_call(session, mounts, request, record)
    except KeyboardInterrupt:
        _withdraw(inputs, record, "stopped")
        raise
    except TransientError as error:
        _withdraw(inputs, record, str(error))
        hint = f"{error.hint}; if Modal received this job after all, it ends as soon as it starts"
        raise TransientError(str(error), hint=hint) from error
    _log.debug("called %s: %s with %d units", request.deployment.app, call, len(request.units))
    return call


def _withdraw(inputs: Files, record: CallRecord, why: str) -> None:
    try:
        inputs.put({f"inputs/{record.folder}/{WITHDRAWN}": WITHDRAWN.encode()})
    except TransientError as error:
        shows = f"modal function calls {record.app}/{FUNCTION} --show-function-call-id"
        hint = f"`{shows}` shows it, and `renderer cancel modal://{record.app}/fc-…` ends it"
        raise TransientError(f"{why}; Modal may have received the job and run it", hint=hint) from error


def _send_call(session: Session, mounts: dict[str, Volume], request: ModalRequest, record: CallRecord) -> str:
    if request.shards:
        return _spawn_shards(session, mounts, request, record)
    volume = str(mounts[OUTPUTS_MOUNT].object_id)
    inputs = [_make_input(request, index, volume) for index in range(len(request.units))]

    def spawn() -> str:
        modal = session.modal
        function = modal.Function.from_name(request.deployment.app, FUNCTION, environment_name=session.environment)
        options: dict[str, object] = {**request.options, "volumes": mounts}
        if request.secrets:
            options["secrets"] = [
                modal.Secret.from_name(name, environment_name=session.environment) for name in request.secrets
            ]
        function = function.with_options(**options)
        call = function.spawn(inputs[0]) if len(inputs) == 1 else function.experimental_spawn_map(inputs)
        return str(call.object_id)

    return session.call(spawn, seconds=ANSWER_TIMEOUT_S + len(inputs))


def _spawn_shards(session: Session, mounts: dict[str, Volume], request: ModalRequest, record: CallRecord) -> str:
    """Call the function that renders a scene in shards; it keeps the ids of its own calls beside the inputs."""
    unit = _make_input(request, 0, str(mounts[OUTPUTS_MOUNT].object_id))
    sent: ShardsInput = {
        "app": request.deployment.app,
        "function": FUNCTION,
        "shards": request.shards or 1,
        "calls": f"{INPUTS_MOUNT}/{SHARD_CALLS}",
        "unit": {**unit, "command": list(request.command)},
        "options": dict(request.options),
        "secrets": list(request.secrets),
        "inputs_volume": str(mounts[INPUTS_MOUNT].object_id),
        "outputs_volume": str(mounts[OUTPUTS_MOUNT].object_id),
        "inputs_folder": f"inputs/{record.folder}",
        "outputs_folder": record.outputs,
    }

    def spawn() -> str:
        function = session.modal.Function.from_name(
            request.deployment.app, SHARDS_FUNCTION, environment_name=session.environment
        )
        own = mounts[INPUTS_MOUNT].with_mount_options(read_only=False, sub_path=f"/inputs/{record.folder}")
        return str(function.with_options(volumes={INPUTS_MOUNT: own}).spawn(sent).object_id)

    return session.call(spawn)


def _make_input(request: ModalRequest, index: int, volume: str) -> UnitInput:
    return {
        "unit": index,
        "mark": str(index),
        "command": [*request.command, "--unit", str(index)],
        "env": dict(request.env),
        "retried": sorted(int(code) for code in RETRIED),
        "inputs": dict(request.inputs),
        "inputs_mount": INPUTS_MOUNT,
        "outputs_mount": OUTPUTS_MOUNT,
        "volume": volume,
        "max_failed": request.max_failed,
    }
