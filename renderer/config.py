"""Reads the settings: defaults, then renderer.toml or [tool.renderer], then RENDERER_*, then flags."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from backends.errors import SpecError
from renderer.settings import Settings

PREFIX = "RENDERER_"
NOT_SETTINGS = frozenset({"RENDERER_OUTPUT_DIR"})  # what a job's own environment has


@dataclass(frozen=True)
class Setting:
    """One setting as it is in force: ``key`` dotted, ``origin`` the place that decided."""

    key: str
    value: Any
    origin: str
    description: str


@dataclass(frozen=True)
class _Given:
    value: Any
    origin: str


@dataclass(frozen=True)
class Config:
    """The settings in force and where each came from."""

    settings: Settings
    origins: Mapping[str, str]

    def __iter__(self) -> Iterator[Setting]:
        for key, (model, name) in _keys().items():
            owner = self.settings if model is Settings else getattr(self.settings, key.partition(".")[0])
            description = model.model_fields[name].description or ""
            yield Setting(key, getattr(owner, name), self.origins.get(key, "default"), description)


def load(
    flags: Mapping[str, Any],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    source: str = "flag",
) -> Config:
    """Lay the sources over each other; ``flags`` holds dotted keys, ``source`` is what they are called.

    Raises SpecError naming key and source.
    """
    given = dict(_from_file(folder or Path.cwd()))
    given |= dict(_from_environment(os.environ if environ is None else environ))
    given |= {key: _Given(value, source) for key, value in flags.items() if value is not None}
    for key, item in given.items():
        _check_known(key, item.origin)
    nested: dict[str, Any] = {}
    for key, item in given.items():
        table, _, name = key.rpartition(".")
        (nested.setdefault(table, {}) if table else nested)[name] = item.value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        raise _in_words(error, given) from error
    return Config(settings, {key: item.origin for key, item in given.items()})


def _keys() -> dict[str, tuple[type[BaseModel], str]]:
    """Give every dotted key with the model and field that declare it."""
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
    for place in (folder, *folder.parents):
        for path in (place / "renderer.toml", place / "pyproject.toml"):
            table = _table(path)
            if table is not None:
                yield from _flat(table, path)
                return


def _table(path: Path) -> dict[str, Any] | None:
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


def _flat(table: dict[str, Any], path: Path) -> Iterator[tuple[str, _Given]]:
    tables = {key.partition(".")[0] for key in _keys() if "." in key}
    for key, value in table.items():
        inner = value if key in tables and isinstance(value, dict) else None
        items = {f"{key}.{name}": item for name, item in inner.items()} if inner is not None else {key: value}
        for name, item in items.items():
            yield name, _Given(_beside(path, name, item), str(path))


def _beside(path: Path, key: str, value: Any) -> Any:
    """Read a relative path of a configuration file from that file's folder."""
    model, name = _keys().get(key, (None, ""))
    if model and "Path" in str(model.model_fields[name].annotation) and isinstance(value, str):
        return path.parent / Path(value).expanduser()
    return value


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, _Given]]:
    names = {PREFIX + key.replace(".", "_").upper(): key for key in _keys() if key != "env"}
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            key = names.get(variable, variable.removeprefix(PREFIX).lower())
            yield key, _Given(value, f"environment variable {variable}")


def _in_words(error: ValidationError, given: Mapping[str, _Given]) -> SpecError:
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    key = next((k for k in (".".join(parts[:2]), *parts[:1]) if k in given), "")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error":
        message = f"it can be {first['ctx']['expected'].replace(chr(39), '')}"
    if not key:
        return SpecError(message)
    item = given[key]
    value = [str(text).partition("=")[0] for text in item.value] if key == "env" else item.value  # never its secrets
    return SpecError(f"{key} cannot be {value!r} ({item.origin}): {message}")
