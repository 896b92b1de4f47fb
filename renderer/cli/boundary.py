"""Turns errors into messages and exit codes, for all commands."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperOption
from typer.exceptions import TyperException

from backends import debug_log
from backends.errors import OutputError, RendererError, SpecError
from backends.exit_codes import ExitCode
from backends.untrusted import show_line, show_text
from renderer.cli import discard
from renderer.cli.commands import command_group
from renderer.cli.output import print_json, show_job_text


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. An error is printed as a message and a hint."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug, as_json = "--debug" in own, "--json" in own
    try:
        debug_log.configure("debug" if "--verbose" in own else debug_log.level_from_environment())
        _check_current_folder()
        return _call(arguments)
    except (RendererError, TyperException, KeyboardInterrupt, OSError) as error:
        if debug:
            _print_traceback()
        return _report(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001  # the last resort
        if debug:
            _print_traceback()
        if isinstance(loop := error.__context__, OSError) and loop.errno == errno.ELOOP:  # of Path.resolve
            return _report(loop, as_json=as_json)
        hint = None if debug else "run it again with --debug and report what it prints"
        return _print_error(f"{type(error).__name__}: {error}", hint, ExitCode.INTERNAL, as_json=as_json)
    finally:
        _drop_unread_errors()


def _call(arguments: list[str]) -> int:
    try:
        code = command_group().main(arguments, prog_name="renderer", standalone_mode=False)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer ends with code 1 then
            raise ended.__context__ from None
        raise
    if sys.stdout:  # None if the caller closed it
        sys.stdout.flush()
    return code if isinstance(code, int) else ExitCode.OK


def _check_current_folder() -> None:
    try:
        os.getcwd()  # noqa: PTH109  # called only for its error
    except FileNotFoundError as error:
        raise SpecError("the current folder does not exist any more", hint="cd to another folder") from error


def _report(error: BaseException, *, as_json: bool) -> int:
    """Print an error that a command may raise, and return its exit code."""
    if isinstance(error, RendererError):
        written = error.written if isinstance(error, OutputError) else ()
        return _print_error(str(error), error.hint, error.exit_code, as_json=as_json, written=written)
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        discard(sys.stdout)
        return ExitCode.OK
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        message = f"{error.filename} is a link that leads to itself"
        return _print_error(message, "name another file or folder", ExitCode.USAGE, as_json=as_json)
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        return _print_error(what, None, ExitCode.OUTPUT, as_json=as_json)
    message, hint = _describe_usage(error)
    return _print_error(message.expandtabs(2), hint, ExitCode.USAGE, as_json=as_json)


def _describe_usage(error: BaseException) -> tuple[str, str]:
    """Return a message about wrong arguments, and what to do: for one that is missing, what it is for."""
    missing = getattr(error, "param", None) if error.__class__.__name__ == "MissingParameter" else None
    if isinstance(missing, TyperOption | TyperArgument) and missing.help:
        what = f"{missing.opts[0]} {missing.metavar}" if isinstance(missing, TyperOption) else str(missing.metavar)
        return f"{what.partition(' ')[0]} is missing", f"add {what} ({missing.help.rstrip('.')})"
    wrong: Any = error.__cause__  # of pydantic, whose words Typer would show
    value = getattr(error, "param", None) if hasattr(wrong, "errors") else None
    if isinstance(value, TyperOption | TyperArgument):
        from renderer.config import word_error

        found = wrong.errors()[0]
        name = value.opts[0] if isinstance(value, TyperOption) else value.metavar
        return f"{name} cannot be {found['input']!r}: {word_error(found)}".rstrip("."), f"{name}: {value.help}"
    message = error.format_message() if isinstance(error, TyperException) else str(error)
    return message, "--help shows the arguments and options"


def _drop_unread_errors() -> None:
    """Discard stderr if nobody reads it any more: otherwise Python ends with exit code 120."""
    try:
        if sys.stderr:  # None if the caller closed it
            sys.stderr.flush()
    except BrokenPipeError:
        discard(sys.stderr)


def _print_error(message: str, hint: str | None, code: ExitCode, *, as_json: bool, written: Sequence[Path] = ()) -> int:
    """Print what happened. Files that were ``written`` all the same are listed as those of a success are."""
    if as_json:
        outputs = {"outputs": [str(file.absolute()) for file in written]} if written else {}
        print_json({"error": message, "hint": hint, "exit_code": int(code), **outputs})
    else:
        for file in written:
            print(file)
        first, *more = show_text(message).split("\n")
        lines = [f"renderer: {first}", *map(show_job_text, more)]
        if hint:
            lines.append(f"  → {show_line(hint)}")
        print("\n".join(lines), file=sys.stderr)
    return code


def _print_traceback() -> None:
    print(show_text(traceback.format_exc()), end="", file=sys.stderr)
