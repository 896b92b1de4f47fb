"""Refuses options that a job with ``untrusted`` must not have, before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from backends.errors import SpecError
from renderer.config import Config
from renderer.project.root import choose_root
from renderer.settings import Settings
from renderer.spec import RenderSpec

# Settings that give a job credentials, or that can undo what keeps it apart, and how to go on without them.
_REFUSED: Mapping[str, str] = {
    "docker.options": "leave docker.options out: the container gets its limits from renderer",
    "k8s.secret_env": "leave --secret-env out",
    "k8s.secret_files": "leave --secret-file out",
    "k8s.service_account": "leave --service-account out",
    "k8s.patch": "leave --patch out",
    "modal.secrets": "leave modal.secrets out",
    "packages": "leave --with out, and put the packages into the image",
    "requirements": "leave --requirements out, and put the packages into the image",
}


def check_untrusted(wanted: RenderSpec, config: Config) -> None:
    """Raise SpecError if an untrusted job has an option that it must not have. Do nothing for other jobs."""
    if not config.settings.untrusted:
        return
    for reason, hint in _find_faults(wanted, config):
        raise SpecError(f"an untrusted job {reason}", hint=hint)


def _find_faults(wanted: RenderSpec, config: Config) -> Iterator[tuple[str, str]]:
    """Yield a message for each option that is refused, with a hint what to do instead."""
    settings = config.settings
    root = choose_root(wanted.path, wanted.root, untrusted=True).resolve()
    for file in _files_near(wanted.path.resolve(), root, config.origins):
        yield (
            f"cannot use the settings of {file}, which lies beside its code",
            "give them as flags or RENDERER_… variables, or run the command in another folder",
        )
    yield from _find_refused_settings(settings)
    if root.is_relative_to(os.path.realpath(settings.output)):
        yield (
            f"cannot write to {settings.output}, the folder that holds its code",
            "choose a folder of its own: --output renders",
        )
    if re.search(r"(?m)^# /// script\s*$", wanted.path.read_text("utf-8", "replace")):
        yield (
            "cannot install packages, as the `# /// script` block asks for",
            "remove the block, and install the packages here or into the image",
        )


def _find_refused_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    tables = {"": settings, settings.backend: settings.backend_options(settings.backend)}
    for key, hint in _REFUSED.items():
        table, _, name = key.rpartition(".")
        if table in tables and getattr(tables[table], name):
            yield f"cannot have {key}", hint
    for name in settings.env:
        if name not in settings.untrusted_env:
            yield (
                f"cannot have the variable {name}",
                f"leave --env {name} out, or allow it: RENDERER_UNTRUSTED_ENV={name}",
            )


def _files_near(path: Path, root: Path, origins: Mapping[str, str]) -> Iterator[Path]:
    """Yield the configuration files in the folder that is uploaded, and in the folders above the code."""
    for file in {Path(origin) for origin in origins.values() if Path(origin).is_absolute()}:
        folder = file.parent.resolve()
        if path.is_relative_to(folder) or folder.is_relative_to(root):
            yield file
