"""Finds the configuration files, and decides which of their settings are used.

The user's own file is always used. A project's file may come from a stranger. It is used only if nobody except the user
and root can have written it. Settings with effects outside the job are allowed only if the user has trusted the file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backends.errors import OutputError, SpecError
from backends.files import config_folder, is_own_group, state_folder
from backends.untrusted.files import open_regular
from backends.untrusted.state_files import read_state, write_state

OWN_FILE = "config.toml"
PROJECT_FILES = ("renderer.toml", "pyproject.toml")
MAX_FILE = 2**20  # bytes

# Settings with effects outside the job, or that give it something of the user: allowed only in a trusted file.
POWERFUL = frozenset({
    "cache", "docker.options", "docker.state_dir", "env", "k8s.annotations", "k8s.cache_secret",
    "k8s.image_pull_secrets", "k8s.labels", "k8s.patch", "k8s.runtime_class", "k8s.secret_env", "k8s.secret_files",
    "k8s.service_account", "k8s.store_secret", "local.state_dir", "modal.profile", "modal.registry_secret",
    "modal.secrets", "modal.state_dir", "output_files", "output_limit", "overwrite", "preview", "preview_command",
    "serve.allow", "serve.backends", "serve.tokens", "serve.webhook_networks", "untrusted_env",
    "webhook", "webhook_secret_file",
})  # fmt: skip
# Where jobs run and what they run: `submit --dry-run` shows where these come from as well.
SHOWN = POWERFUL | {
    "backend",
    "image",
    "k8s.context",
    "k8s.namespace",
    "modal.environment",
    "output",
    "packages",
    "store",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file that is used. If ``is_trusted``, all its settings are allowed."""

    path: Path
    table: dict[str, object]
    is_trusted: bool


def read_own_file() -> ConfigFile | None:
    """Return the user's own configuration file; None if it does not exist."""
    try:
        path = config_folder() / OWN_FILE
        real = path.resolve()  # it may be a link to where the user keeps such files
        found = _read(real.parent, real.name, path)
    except (RuntimeError, OSError):  # there is no home
        return None
    return ConfigFile(path, _parse(path, found.data) or {}, is_trusted=True) if found else None


def find_project_file(folder: Path) -> ConfigFile | None:
    """Return the nearest configuration file that may be used, in the folder or above it.

    The search ends at the home folder, at the top of a git checkout, and at a folder that others can write to. There is
    a warning for each file that is not used.
    """
    reason: str | None = None
    for parent in _search(folder):
        reason = reason or _describe_access(parent.stat(), str(parent))
        for name in PROJECT_FILES:
            path = parent / name
            if not (found := _read(parent, name, path)):
                continue
            is_trusted = _is_trusted(path, found.data)
            if not is_trusted and (refused := reason or _describe_access(found.info, "it")):
                if _is_about_renderer(path, found.data):
                    _log.warning("ignored %s: %s; if it is yours: renderer config trust", path, refused)
                    return None
            elif (table := _parse(path, found.data)) is not None:
                _log.debug("read the configuration file %s", path)
                return ConfigFile(path, table, is_trusted)
    return None


def may_set(key: str, folder: Path) -> bool:
    """Return whether a file that is used in the folder may have the setting, without a word about files that are not.

    It is true, too, if a file cannot be read.
    """
    with suppress(RuntimeError, OSError, SpecError):  # there is no home, or the file is not valid
        files = [config_folder() / OWN_FILE, *(parent / name for parent in _search(folder) for name in PROJECT_FILES)]
        return any(key in (_parse(file, file.read_bytes()) or {}) for file in files if file.is_file())
    return True


def trust(folder: Path) -> Path:
    """Trust the current content of the nearest configuration file, and return its path. Raises SpecError."""
    for parent in _search(folder):
        for name in PROJECT_FILES:
            path = parent / name
            found = _read(parent, name, path)
            if found and _parse(path, found.data) is not None:
                write_state(_trust_mark(path), _digest(found.data).encode())
                return path
    raise SpecError(f"there is no configuration file in {folder} or above it", hint="make a renderer.toml")


def _search(folder: Path) -> Iterator[Path]:
    """Yield the folders in which a project's file may be: up to the home folder or the top of the git checkout."""
    try:
        home = Path.home()
    except RuntimeError:  # there is none
        home = Path("/")
    for parent in (folder, *folder.parents):
        yield parent
        if parent == home or (parent / ".git").exists():
            return


def _describe_access(info: os.stat_result, what: str) -> str | None:
    """Return why somebody else may have written the file or to the folder; None if only the user and root can.

    Windows has other permissions, and keeps the folders of users apart by itself.
    """
    if sys.platform == "win32":
        return None
    owners = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():  # as in git: the user whose sudo it is
        owners.add(int(os.environ["SUDO_UID"]))
    if info.st_uid not in owners:
        return f"{what} belongs to another user"
    if info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and not is_own_group(info.st_gid, info.st_uid)):
        return f"{what} can be written by others"
    return None


@dataclass(frozen=True)
class _Content:
    data: bytes
    info: os.stat_result


def _read(folder: Path, name: str, path: Path) -> _Content | None:
    try:
        with open_regular(folder, PurePosixPath(name)) as file:
            content = _Content(file.read(MAX_FILE + 1), os.fstat(file.fileno()))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OutputError:
        _log.warning("ignored %s: it is a link, or not a file", path)
        return None
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}") from error
    if len(content.data) > MAX_FILE:
        raise SpecError(f"{path} is larger than a configuration file can be")
    return content


def _parse(path: Path, data: bytes) -> dict[str, object] | None:
    """Return renderer's table in a configuration file; None if it has none."""
    import tomllib  # most folders have no such file

    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"{path} is not valid TOML: {error}") from error
    if path.name != "pyproject.toml":
        return content
    tool = content.get("tool")
    table = tool.get("renderer") if isinstance(tool, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise SpecError(f"[tool.renderer] in {path} is not a table")


def _is_about_renderer(path: Path, data: bytes) -> bool:
    """Return whether a file that is not used has settings of renderer, so that a warning is needed."""
    try:
        return _parse(path, data) is not None
    except SpecError:
        return path.name != "pyproject.toml"


def _is_trusted(path: Path, data: bytes) -> bool:
    try:
        return read_state(_trust_mark(path), MAX_FILE).decode() == _digest(data)
    except (OSError, RuntimeError, ValueError):
        return False


def _trust_mark(path: Path) -> Path:
    return state_folder("trusted") / _digest(os.fsencode(path.resolve()))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
