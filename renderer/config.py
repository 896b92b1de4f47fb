"""Loads the settings. Later sources win: defaults, renderer.toml or [tool.renderer], RENDERER_… variables, flags."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from backends.debug_log import VARIABLE
from backends.errors import SpecError
from renderer.settings import Settings

PREFIX = "RENDERER_"
NOT_SETTINGS = frozenset({"RENDERER_OUTPUT_DIR", VARIABLE})  # the first one is set in a job's own environment

_log = logging.getLogger(__name__)
_MESSAGES = {  # pydantic's type of an error: how a user says it
    "literal_error": "it can be {expected}",
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than_equal": "it must be at most {le:g}",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_parsing": "write a number",
    "bool_parsing": "write true or false",
}


@dataclass(frozen=True)
class Setting:
    """A setting in force: its dotted ``key``, and ``origin``, the source that decided its value."""

    key: str
    value: object
    origin: str
    description: str


@dataclass(frozen=True)
class _Given:
    value: object
    origin: str


@dataclass(frozen=True)
class Config:
    """The settings in force, and the source of each. Iterating yields every setting."""

    settings: Settings
    origins: Mapping[str, str]

    def __iter__(self) -> Iterator[Setting]:
        for key, (model, name) in _keys().items():
            owner = self.settings if model is Settings else getattr(self.settings, key.partition(".")[0])
            description = model.model_fields[name].description or ""
            yield Setting(key, getattr(owner, name), self.origins.get(key, "default"), description)


def load(
    flags: Mapping[str, object],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    source: str = "flag",
) -> Config:
    """Load the settings, with ``flags`` (dotted key: value, None where it was not given) over all other sources.

    ``source`` is what messages call the flags. Raises SpecError that names the key and its source.
    """
    given = dict(_from_file(folder or Path.cwd()))
    given |= dict(_from_environment(os.environ if environ is None else environ))
    given |= {key: _Given(value, source) for key, value in flags.items() if value is not None}
    for key, item in given.items():
        _check_known(key, item.origin)
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
    """Return every dotted key with the model and the field that declare it."""
    keys: dict[str, tuple[type[BaseModel], str]] = {}
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            keys |= {f"{name}.{inner}": (info.annotation, inner) for inner in info.annotation.model_fields}
        else:
            keys[name] = (Settings, name)
    return keys


def _check_known(key: str, origin: str) -> None:
    keys = _keys()
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`renderer config` lists them all"
        raise SpecError(f"there is no setting {key!r} ({origin})", hint=hint)


def _from_file(folder: Path) -> Iterator[tuple[str, _Given]]:
    """Yield the settings of the nearest configuration file, in the folder or above it."""
    for parent in (folder, *folder.parents):
        for path in (parent / "renderer.toml", parent / "pyproject.toml"):
            table = _read_table(path)
            if table is not None:
                _log.debug("read the configuration file %s", path)
                yield from _flatten(table, path)
                return


def _read_table(path: Path) -> dict[str, object] | None:
    """Return renderer's table of a configuration file, None where there is none."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}") from error
    import tomllib

    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not valid TOML: {error}") from error
    if path.name == "renderer.toml":
        return content
    tool = content.get("tool")
    table = tool.get("renderer") if isinstance(tool, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise SpecError(f"[tool.renderer] in {path} is not a table")


def _flatten(table: dict[str, object], path: Path) -> Iterator[tuple[str, _Given]]:
    """Yield the table's settings by dotted key."""
    tables = {key.partition(".")[0] for key in _keys() if "." in key}
    for key, value in table.items():
        inner = value if key in tables and isinstance(value, dict) else None
        items = {f"{key}.{name}": item for name, item in inner.items()} if inner is not None else {key: value}
        for name, item in items.items():
            yield name, _Given(_resolve_path(path, name, item), str(path))


def _resolve_path(file: Path, key: str, value: object) -> object:
    """Return the value; a relative path in a configuration file counts from that file's folder."""
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
    """Return pydantic's first complaint as an error that names the setting, its value and its source."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    key = next((k for k in (".".join(parts[:2]), *parts[:1]) if k in given), "")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in _MESSAGES:
        context = first.get("ctx", {})
        if "expected" in context:
            context["expected"] = context["expected"].replace("'", "")
        message = _MESSAGES[first["type"]].format(**context)
    if not key:
        return SpecError(message)
    item = given[key]
    # the values of environment variables may be secrets: only their names are shown
    value = _names(item.value) if key == "env" else item.value
    return SpecError(f"{key} cannot be {value!r} ({item.origin}): {message}")


def _names(pairs: object) -> list[str]:
    items = pairs if isinstance(pairs, (list, tuple, dict)) else [pairs]
    return [str(item).partition("=")[0] for item in items]
