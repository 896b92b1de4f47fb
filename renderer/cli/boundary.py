"""The one place where errors become words and exit codes."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
import traceback

import typer
from typer.exceptions import TyperException

from backends.errors import RendererError, SpecError
from backends.exit_codes import ExitCode
from renderer.cli import FOLDERS, VERBS


def run(verb: str, arguments: list[str]) -> int:
    """Run the verb's command. Whatever it raises is printed as one sentence and what to do."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug, as_json = "--debug" in own, "--json" in own
    if debug:
        arguments = [argument for argument in own if argument != "--debug"] + arguments[len(own) :]
    try:
        _check_current_folder()
        return _call(verb, arguments)
    except (RendererError, TyperException, KeyboardInterrupt, OSError) as error:
        if debug:
            traceback.print_exc()
        return _report(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001  # the last resort
        if debug:
            traceback.print_exc()
        hint = None if debug else "run it again with --debug and report what it prints"
        return _say(f"{type(error).__name__}: {error}", hint, ExitCode.INTERNAL, as_json=as_json)
    finally:
        _drop_unread_errors()


def _call(verb: str, arguments: list[str]) -> int:
    known = {name: FOLDERS[group] for group, names in VERBS.items() for name in names}
    if verb not in known:
        near = difflib.get_close_matches(verb, known, 1)
        hint = f"did you mean `renderer {near[0]}`?" if near else "`renderer --help` lists the commands"
        return _say(f"there is no command {verb!r}", hint, ExitCode.USAGE, as_json=False)
    module = importlib.import_module(f"renderer.cli.{known[verb]}.cmd_{verb}")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(no_args_is_help=False)(module.command)
    try:
        code = app(arguments, prog_name=f"renderer {verb}", standalone_mode=False)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer makes an end with code 1 of it
            raise ended.__context__ from None
        raise
    if sys.stdout:  # closed by who called
        sys.stdout.flush()
    return code if isinstance(code, int) else ExitCode.OK


def _check_current_folder() -> None:
    try:
        os.getcwd()  # noqa: PTH109  # asked for its error alone
    except FileNotFoundError as error:
        raise SpecError("the current folder is no longer there", hint="cd to one that is") from error


def _report(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, RendererError):
        return _say(str(error), error.hint, error.exit_code, as_json=as_json)
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; so has the need to flush
        return ExitCode.OK
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        return _say(what, None, ExitCode.OUTPUT, as_json=as_json)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return _say(message, "--help shows what the command takes", ExitCode.USAGE, as_json=as_json)


def _drop_unread_errors() -> None:
    """Drop what is left for a reader of stderr who has gone: Python's own flush at the end would fail with code 120."""
    try:
        if sys.stderr:  # closed by who called
            sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _say(message: str, hint: str | None, code: ExitCode, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": message, "hint": hint, "exit_code": int(code)}, ensure_ascii=False))
    else:
        print(f"renderer: {message}", file=sys.stderr)
        if hint:
            print(f"  → {hint}", file=sys.stderr)
    return code
