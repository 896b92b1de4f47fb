"""Writes the tables of the documents that the code determines: ``.venv/bin/python tests/support/docs/tables.py``.

Each stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. A test fails when one is out of date.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from backends.exit_codes import MEANINGS, ExitCode
from backends.gpus.catalog import GPUS
from backends.modal.observe import prices
from backends.option_types import format_duration, format_size, option_info
from renderer import cli, config
from renderer.cli.commands import command_group
from renderer.cli.manim_options import OPTIONS
from renderer.config_files import POWERFUL
from renderer.settings import Settings

ROOT = Path(__file__).parents[3]
FORMATS: Mapping[str, Callable[[Any], str]] = {
    "time": format_duration,
    "size": format_size,
    "list": lambda words: json.dumps(list(words)),
}
WITH_SETTINGS = {"submit", "manifest", "config"}
KINDS = (
    (r"\bdict\b", "KEY=VALUE"),
    (r"\btuple\b", "list"),
    (r"\bbool\b", "true, false"),
    (r"\bfloat\b", "number"),
    (r"\bint\b", "whole number"),
    (r"\bPath\b", "path"),
    (r"", "text"),
)
SETTINGS_TOO = "All [settings](settings.md) that have a flag are options, too, and [Manim's own](#manims-own-options)."
TO_DO: Mapping[ExitCode, str] = {
    ExitCode.OK: "",
    ExitCode.INTERNAL: "Run it again with `--debug` and report it with the traceback.",
    ExitCode.USAGE: "Correct what the message names. Nothing was created.",
    ExitCode.NOT_FOUND: "Check the handle: `renderer list` shows yours.",
    ExitCode.BACKEND: "`renderer doctor --backend …` shows what is missing.",
    ExitCode.TRANSIENT: "Try again later; the job goes on.",
    ExitCode.OUTPUT: "Free disk space or choose another `--output`, then `renderer fetch` again.",
    ExitCode.USER_CODE: "Fix your code: `renderer status` shows the line, `renderer logs` the rest.",
    ExitCode.ENCODER: "`renderer doctor` shows which encoders work; `--encoder auto` always finds one.",
    ExitCode.OUT_OF_MEMORY: "Give the job more `--memory`; a scene needs less at a lower resolution, too.",
    ExitCode.INPUT: "Submit again, with the same version of renderer on both sides.",
    ExitCode.LOST: "Submit again; `--retries 2` does so by itself.",
    ExitCode.CANCELLED: "Submit again if you want it after all.",
    ExitCode.TIMEOUT: "Raise `--timeout`.",
    ExitCode.INTERRUPTED: "`renderer wait HANDLE` watches it again, `renderer cancel HANDLE` stops it.",
    ExitCode.TERMINATED: "As for 16 and 17.",
}


def settings() -> str:
    """Return the table of all settings: key, flag, type, default, meaning."""
    rows = ["| key | flag of submit | type | default | trust | what it does |", "|---|---|---|---|---|---|"]
    for key, info in _fields().items():
        kind = _type(info)
        trust = "needed" if key in POWERFUL else ""
        rows.append(
            f"| `{key}` | {_flag(key, info)} | {kind} | {_default(info, kind)} | {trust} | {info.description} |"
        )
    return "\n".join(rows)


def exit_codes() -> str:
    """Return the table of exit codes with their meaning and what to do."""
    rows = ["| code | meaning | what to do |", "|---|---|---|"]
    return "\n".join(rows + [f"| {int(code)} | {MEANINGS[code]} | {TO_DO[code]} |" for code in ExitCode])


def commands() -> str:
    """Return the table of commands, by group."""
    rows = ["| command | what it does |", "|---|---|"]
    for group, verbs in cli.COMMANDS.items():
        rows.append(f"| **{group}** | |")
        rows += [f"| `renderer {verb}` | {text} |" for verb, text in verbs.items()]
    return "\n".join(rows)


def loaded_commands() -> dict[str, Any]:
    """Return all commands by their names: also those of groups, such as `serve token create`."""
    lazy: Mapping[str, Any] = command_group().commands
    return {name: each for key, command in lazy.items() for name, each in _flatten(key, command._load()).items()}


def _flatten(name: str, command: Any) -> dict[str, Any]:
    below: Mapping[str, Any] = getattr(command, "commands", {})
    found = {} if below and not command.invoke_without_command else {name: command}
    return found | {each: part for key, sub in below.items() for each, part in _flatten(f"{name} {key}", sub).items()}


def command_options() -> str:
    """Return a heading and a table for each command: its arguments and its own options."""
    common = {"--json", "--verbose", "--debug"}
    settings_flags = {_flag(key, info).strip("`") for key, info in _fields().items()}
    parts = []
    for name, command in loaded_commands().items():
        params = command.params
        shown = [each for each in params if not common & set(each.opts) and not each.name.startswith("manim_")]
        if has_settings := name in WITH_SETTINGS:
            shown = [each for each in shown if not settings_flags & set(each.opts)]
        arguments = [each.metavar for each in shown if each.param_type_name == "argument"]
        rows = [_option_row(each) for each in shown]
        table = ["| | |", "|---|---|", *rows] if rows else ["It has no options of its own."]
        more = ["", SETTINGS_TOO] if has_settings else []
        parts.append("\n".join([f"### `{' '.join(['renderer', name, *arguments])}`", "", *table, *more]))
    return "\n\n".join(parts)


def _option_row(each: Any) -> str:
    names = each.metavar if each.param_type_name == "argument" else "`, `".join([*each.opts, *each.secondary_opts])
    value = f" {each.metavar}" if each.param_type_name == "option" and each.metavar else ""
    first = f"{names}{value}".replace("|", "\\|")  # a bar would begin the next column
    return f"| `{first}` | {each.help} |"


def manim_options() -> str:
    """Return the table of Manim's options that are not settings."""
    means = {"passed": "the same", "translated": "the same", "noted": "no effect", "refused": "refused"}
    rows = ["| option of Manim | here | |", "|---|---|---|"]
    for item in OPTIONS:
        flags = ", ".join(f"`{flag}`" for flag in item.flags)
        rows.append(f"| {flags}{f' {item.value}' if item.value else ''} | {means[item.answer]} | {item.text} |")
    return "\n".join(rows)


def gpus() -> str:
    """Return the table of GPUs that have a name."""
    rows = ["| `--gpu` | memory | compute | NVENC | most at Modal | for rendering |", "|---|---|---|---|---|---|"]
    for gpu in GPUS.values():
        nvenc = f"{gpu.nvenc} ({', '.join(gpu.codecs)})" if gpu.nvenc else "none"
        modal = f"`{gpu.modal}:{gpu.modal_max}`" if gpu.modal else "no"
        rows.append(f"| `{gpu.name}` | {gpu.memory} GB | {gpu.compute} | {nvenc} | {modal} | {gpu.advice} |")
    return "\n".join(rows)


def modal_cost() -> str:
    """Return what an hour and ten minutes cost at Modal, with its default of 4 cores and 8 GiB."""
    rows = [
        f"With 4 cores and 8 GiB (the default), at the prices of {prices.SOURCE} of {prices.AS_OF}, in US dollars:",
        "",
        "| `--gpu` | 10 minutes | an hour |",
        "|---|---|---|",
    ]
    for name in ("none", "T4", "L4", "A10G", "L40S", "A100", "H100"):
        second = prices.dollars_per_second(() if name == "none" else (name,), 4, 8192)
        rows.append(f"| `{name}` | {600 * second:.2f} | {3600 * second:.2f} |")
    return "\n".join(rows)


def make_targets() -> str:
    """Return the table of make's targets, as ``make help`` lists them."""
    found = re.findall(r"^([a-z-]+):.*?## (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return "\n".join(
        ["| target | what it does |", "|---|---|", *(f"| `make {name}` | {text} |" for name, text in found)]
    )


TABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/reference/settings.md", settings),
    "exit-codes": ("docs/reference/exit-codes.md", exit_codes),
    "commands": ("docs/reference/cli.md", commands),
    "manim-options": ("docs/reference/cli.md", manim_options),
    "options": ("docs/reference/cli.md", command_options),
    "gpus": ("docs/reference/gpus-and-encoders.md", gpus),
    "make-targets": ("CONTRIBUTING.md", make_targets),
    "modal-cost": ("docs/how-to/modal.md", modal_cost),
}


def updated(name: str) -> tuple[Path, str]:
    """Return the page of a table, and what the page should hold."""
    page, table = TABLES[name]
    begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
    head, _, rest = (ROOT / page).read_text("utf-8").partition(begin)
    tail = rest.partition(end)[2]
    return ROOT / page, f"{head}{begin}\n{table()}\n\n{end}{tail}"


def _fields() -> dict[str, FieldInfo]:
    found = {}
    for item in config.load({}, folder=ROOT / "docs", environ={}):
        table, _, name = item.key.rpartition(".")
        model: Any = Settings.model_fields[table].annotation if table else Settings
        found[item.key] = model.model_fields[name]
    return found


def _flag(key: str, info: FieldInfo) -> str:
    option = option_info(info)
    if option and option.flags:
        return f"`{option.flags[0]}`"
    return "none" if "." in key or option is None else f"`--{key.replace('_', '-')}`"


def _type(info: FieldInfo) -> str:
    """Return how the value is written, by the words of "Values" on the page."""
    choices = " \\| ".join(f"`{choice}`" for choice in _choices(info.annotation))
    option, text = option_info(info), str(info.annotation)
    by_form = {"TIME": "time", "SIZE": "size", "WxH": "WxH in pixels"}.get(option.value if option else "")
    kind = by_form or next(shown for pattern, shown in KINDS if re.search(pattern, text))
    return f"{kind} \\| {choices}" if choices and kind == "whole number" else choices or kind


def _choices(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [choice for argument in typing.get_args(annotation) for choice in _choices(argument)]


def _default(info: FieldInfo, kind: str) -> str:
    """Return the default with its unit; nothing where it is empty."""
    value = info.default
    if value is None or value is False or value in ({}, ()):
        return ""
    shown = FORMATS.get(kind, str)(value)
    return f"`{shown.removesuffix('.0')}`"


if __name__ == "__main__":
    for table in TABLES:
        path, text = updated(table)
        path.write_text(text, "utf-8")
