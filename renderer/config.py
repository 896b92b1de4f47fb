"""Loads the settings. Later sources win: defaults, the user's file, the project's, RENDERER_… variables, flags."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from backends.debug_log import VARIABLE
from backends.errors import SpecError
from backends.option_types import option_info
from backends.worker_protocol import OUTPUT_DIR
from renderer.config_files import POWERFUL, find_project_file, read_own_file
from renderer.output_folder import has_hidden_part
from renderer.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PREFIX = "RENDERER_"
FLAG, ARGUMENT = "flag", "argument"  # origins of settings for one job: the command line, and a call from Python
GIVEN = frozenset({FLAG, ARGUMENT})  # a file, unlike these, may have the tables of all backends
NOT_SETTINGS = frozenset({OUTPUT_DIR, "RENDERER_INPUT", VARIABLE})  # the first two are set in jobs

_log = logging.getLogger(__name__)
MESSAGES = {  # pydantic's type of an error: the message for the user
    "literal_error": "it can be {expected}",
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be at least {ge:.15g}",
    "less_than_equal": "it must be at most {le:.15g}",
    "int_parsing": "write a whole number",
    "int_parsing_size": "the number is too large",
    "int_from_float": "write a whole number",
    "int_type": "write a whole number",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "finite_number": "write a number",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "string_type": "write a text",
    "list_type": "write a list",
    "tuple_type": "write a list",
    "too_long": "it may have {max_length} items, and has more",
    "dict_type": "write a table",
    "path_type": "write a path",
}


@dataclass(frozen=True)
class Setting:
    """A setting with its value. ``key`` is its name with dots; ``origin`` is the source of the value.

    ``form`` is the placeholder of its value in the help, such as TIME or SIZE.
    """

    key: str
    value: object
    origin: str
    description: str
    form: str = ""


@dataclass(frozen=True)
class _Given:
    value: object
    origin: str


@dataclass(frozen=True)
class Config:
    """The settings after all sources were read, and the source of each. Iterating yields every setting."""

    settings: Settings
    origins: Mapping[str, str]

    def __iter__(self) -> Iterator[Setting]:
        for key, (model, name) in _keys().items():
            owner = self.settings if model is Settings else getattr(self.settings, key.partition(".")[0])
            field = model.model_fields[name]
            form = info.value if (info := option_info(field)) else ""
            yield Setting(key, getattr(owner, name), self.origins.get(key, "default"), field.description or "", form)


def load(
    flags: Mapping[str, object],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    source: str = FLAG,
) -> Config:
    """Load the settings. ``flags`` (dotted key: value, None if it was not given) override all other sources.

    ``source`` is the word for ``flags`` in messages. Raises SpecError that names the key and its source.
    """
    given = _from_files(folder or Path.cwd())
    given |= dict(_from_environment(os.environ if environ is None else environ))
    given |= {key: _Given(value, source) for key, value in flags.items() if value is not None}
    for key, item in given.items():
        _check_known(key, item.origin)
        if isinstance(item.value, bool) and not _is_switch(key):  # pydantic would take it for 0 or 1
            raise _refuse(key, item, "write a value, not true or false")
    nested: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for key, item in given.items():
        _log.debug("setting %s comes from %s", key, item.origin)
        table, _, name = key.rpartition(".")
        (tables.setdefault(table, {}) if table else nested)[name] = item.value
    try:
        settings = Settings.model_validate(nested | tables)
    except ValidationError as error:
        raise _translate_error(error, given) from error
    return Config(settings, {key: item.origin for key, item in given.items()})


def _keys() -> dict[str, tuple[type[BaseModel], str]]:
    """Return each dotted key, with the model and the field that declare it."""
    keys: dict[str, tuple[type[BaseModel], str]] = {}
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            keys |= {f"{name}.{inner}": (info.annotation, inner) for inner in info.annotation.model_fields}
        else:
            keys[name] = (Settings, name)
    return keys


def name_setting(key: str, origin: str) -> str:
    """Return what the user wrote for a setting: its flag, or its key in a file, a request or a call."""
    model, name = _keys()[key]
    info = option_info(model.model_fields[name])
    if origin == FLAG and info:
        return info.flags_of(name)[0]
    return key


def name_flags() -> Mapping[str, str]:
    """Return the key of the setting of each flag."""
    return {name_setting(key, FLAG): key for key in _keys()}


def _check_known(key: str, origin: str) -> None:
    keys = _keys()
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`renderer config` lists them all"
        raise SpecError(f"there is no setting {key!r}{_show_source(origin)}", hint=hint)


def _from_files(folder: Path) -> dict[str, _Given]:
    """Return the settings of the user's own file and of the project's file.

    Raises SpecError for settings of the project's file that are allowed only if the user has trusted it.
    """
    own, project = read_own_file(), find_project_file(folder)
    given = dict(_flatten(own.table, own.path)) if own else {}
    if not project:
        return given
    settings = dict(_flatten(project.table, project.path))
    if not project.is_trusted:
        _check_harmless(project.path, settings, given)
    return given | settings


def _check_harmless(path: Path, settings: Mapping[str, _Given], own: Mapping[str, _Given]) -> None:
    """Raise SpecError if a project's file has settings with effects outside the job: a stranger may have written it."""
    refused = sorted(key for key, item in settings.items() if _needs_trust(path, key, item.value, own))
    if refused:
        raise SpecError(
            f"{path} sets {', '.join(refused)}, which can act outside the job",
            hint="read the file, and if you trust it: renderer config trust",
        )


def _needs_trust(path: Path, key: str, value: object, own: Mapping[str, _Given]) -> bool:
    if key in POWERFUL or (key == "backend" and key in own):
        return True
    if key == "untrusted":  # a project may ask for more care, not for less
        return value is not True
    if not isinstance(value, Path):
        return False
    folder, real = path.parent.resolve(), value.resolve()
    if not real.is_relative_to(folder):
        return True
    # in .git, or between the project's own files, outputs could be programs or their settings
    return key == "output" and (real == folder or has_hidden_part(real.relative_to(folder)))


def _flatten(table: dict[str, object], path: Path) -> Iterator[tuple[str, _Given]]:
    """Yield the table's settings by dotted key."""
    tables = {key.partition(".")[0] for key in _keys() if "." in key}
    for key, value in table.items():
        inner = value if key in tables and isinstance(value, dict) else None
        items = {f"{key}.{name}": item for name, item in inner.items()} if inner is not None else {key: value}
        for name, item in items.items():
            yield name, _Given(_resolve_path(path, name, item), str(path))


def _resolve_path(file: Path, key: str, value: object) -> object:
    """Return the value. If it is a relative path, make it relative to the folder of the configuration file."""
    model, name = _keys().get(key, (None, ""))
    if model and "Path" in str(model.model_fields[name].annotation) and isinstance(value, str):
        return file.parent / Path(value).expanduser()
    return value


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, _Given]]:
    names = {PREFIX + key.replace(".", "_").upper(): key for key in _keys() if key != "env"}
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            key = names.get(variable, variable.removeprefix(PREFIX).lower())
            yield key, _Given(value, f"environment variable {variable}")


def _translate_error(error: ValidationError, given: Mapping[str, _Given]) -> SpecError:
    """Return the SpecError for pydantic's first error. It names the setting, its value and its source."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    key = next((k for k in (".".join(parts[:2]), *parts[:1]) if k in given), "")
    message = word_error(first)
    if not key:
        return SpecError(message)
    return _refuse(key, given[key], message)


def _refuse(key: str, item: _Given, message: str) -> SpecError:
    """Return the error for a setting that cannot have its value."""
    model, field = _keys()[key]
    # the values of environment variables may be secrets: only their names are shown
    value = _names(item.value) if key == "env" else item.value
    name = name_setting(key, item.origin)
    return SpecError(
        f"{name} cannot be {value!r}{_show_source(item.origin)}: {message}",
        hint=f"{name}: {model.model_fields[field].description}",
    )


def _is_switch(key: str) -> bool:
    model, field = _keys()[key]
    return "bool" in str(model.model_fields[field].annotation)


def word_error(error: ErrorDetails) -> str:
    """Return in a few words what pydantic found wrong with a value."""
    template = MESSAGES.get(error["type"])
    if template is None:
        return error["msg"].removeprefix("Value error, ")
    context = error.get("ctx", {})
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", "")
    return template.format(**context)


def _show_source(origin: str) -> str:
    """Return where a setting is from, for the end of a message; nothing for what was given for this job."""
    return "" if origin in GIVEN else f" ({origin})"


def _names(pairs: object) -> list[str]:
    items = pairs if isinstance(pairs, (list, tuple, dict)) else [pairs]
    return [str(item).partition("=")[0] for item in items]
