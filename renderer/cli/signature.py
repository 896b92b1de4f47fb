"""Adds parameters to a command's signature, which Typer reads, so that several commands can share options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable

Command = Callable[..., object]


def add_parameters(
    command: Command,
    read: Callable[..., object],
    *,
    argument: str | None = None,
    parameters: Iterable[inspect.Parameter] | None = None,
) -> Command:
    """Return the command with more parameters: ``parameters``, by default those of ``read``.

    ``read`` gets their values by name. What it returns is passed to the command as ``argument``, which Typer does not
    see; without ``argument`` it is dropped. The command's own parameters win over added ones of the same name.
    """
    own = inspect.signature(command, eval_str=True)
    if parameters is None:
        parameters = inspect.signature(read, eval_str=True).parameters.values()
    added = [parameter for parameter in parameters if parameter.name not in own.parameters]
    rest = [parameter for parameter in own.parameters.values() if parameter.name != argument]

    @functools.wraps(command)
    def call(**values: object) -> object:
        result = read(**{parameter.name: values.pop(parameter.name) for parameter in added})
        return command(**values, **({argument: result} if argument else {}))

    ordered = [*added, *rest] if argument else [*rest, *added]  # as the help lists them
    shown = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in ordered]
    call.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]  # Typer reads it
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return call
