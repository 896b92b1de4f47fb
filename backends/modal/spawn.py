"""Calls the deployed function, so that no job runs of which nobody knows.

A call whose answer is lost may have been taken or not. Each carries a ticket: the function ends at once when the ticket
was withdrawn, so that submitting again does not run the job twice.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Any

from backends.errors import TransientError
from backends.exit_codes import ExitCode
from backends.modal.call_store import Record
from backends.modal.request import FUNCTION, MOUNT, VOLUME, ModalRequest
from backends.modal.session import ANSWER_S, Session
from backends.modal.volume import Files

RETRIED = (ExitCode.INTERNAL, ExitCode.TRANSIENT, ExitCode.LOST, ExitCode.TERMINATED)


def spawn(session: Session, files: Files, request: ModalRequest, record: Record) -> str:
    """Call the function once for each unit; give the id of the call. Raises TransientError when no answer came."""
    ticket = secrets.token_hex(8)
    try:
        return _call(session, request, record, ticket)
    except KeyboardInterrupt:
        _withdraw(files, ticket, record, "stopped")
        raise
    except TransientError as error:
        _withdraw(files, ticket, record, str(error))
        hint = f"{error.hint}; should Modal have taken this job, it ends as soon as it starts"
        raise TransientError(str(error), hint=hint) from error


def _withdraw(files: Files, ticket: str, record: Record, why: str) -> None:
    try:
        files.withdraw(ticket)
    except TransientError as error:
        shows = f"modal function calls {record.app}/{FUNCTION} --show-function-call-id"
        hint = f"`{shows}` tells, and `renderer cancel modal://{record.app}/fc-…` ends it"
        raise TransientError(f"{why}; Modal may have taken the job and run it", hint=hint) from error


def _call(session: Session, request: ModalRequest, record: Record, ticket: str) -> str:
    payloads = [_payload(request, index, ticket) for index in range(len(request.units))]
    payloads[0]["record"] = asdict(record)

    def act() -> str:
        modal = session.modal
        function = modal.Function.from_name(request.deployment.app, FUNCTION, environment_name=session.environment)
        options = dict(request.options)
        if request.secrets:
            options["secrets"] = [
                modal.Secret.from_name(name, environment_name=session.environment) for name in request.secrets
            ]
        if options:
            function = function.with_options(**options)
        call = function.spawn(payloads[0]) if len(payloads) == 1 else function.experimental_spawn_map(payloads)
        return str(call.object_id)

    return session.call(act, seconds=ANSWER_S + len(payloads))


def _payload(request: ModalRequest, index: int, ticket: str) -> dict[str, Any]:
    return {
        "unit": index,
        "command": [*request.command, "--unit", str(index)],
        "env": dict(request.env),
        "retried": [int(code) for code in RETRIED],
        "volume": VOLUME,
        "mount": MOUNT,
        "ticket": ticket,
    }
