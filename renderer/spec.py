"""From what a user names to the job that a backend receives."""

from __future__ import annotations

import ast
import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from backends import JobSpec, Resources
from backends.errors import SpecError
from backends.gpus import request as gpu_request
from backends.models import NAME_MAX
from renderer import scenes
from renderer.bundle import pack
from renderer.model import EncoderSettings, Kind, RenderSettings, WorkerPayload
from renderer.settings import Settings
from renderer.video import catalog as encoders


@dataclass(frozen=True, kw_only=True)
class RenderSpec:
    """What to run: ``path`` a Python file, ``scenes`` of it (or ``every`` one), ``arguments`` for a script."""

    path: Path
    scenes: tuple[str, ...] = ()
    every: bool = False
    arguments: tuple[str, ...] = ()
    kind: Literal["auto", "manim", "script"] = "auto"
    root: Path | None = None
    name: str | None = None
    attached: bool = True


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A job ready for a backend, and what was packed for it."""

    job: JobSpec
    packed: pack.Packed


def prepare(spec: RenderSpec, settings: Settings) -> Prepared:
    """Check the request, pack the folder and describe the job. Raises SpecError; reads files and changes nothing."""
    path, root = _checked_path(spec)
    kind, units = _kind_and_units(spec, path)
    picture = RenderSettings(
        quality=settings.quality,
        resolution=settings.resolution,
        fps=settings.fps,
        format=settings.format,
        transparent=settings.transparent,
        renderer=settings.renderer,
    )
    _check_encoder(settings, picture if kind == "manim" else None)
    _check_text(spec, settings)
    packed = pack.pack(root, main=path, limit=settings.bundle_limit_mib * 2**20)
    payload = WorkerPayload(
        kind=kind,
        file=path.resolve().relative_to(root.resolve()).as_posix(),
        units=units,
        bundle=packed.bundle.digest,
        timeout=settings.timeout,
        arguments=spec.arguments,
        settings=picture,
        encoder=EncoderSettings(encoder=settings.encoder, preset=settings.encoder_preset),
    )
    job = JobSpec(
        name=job_name(spec.name or (units[0] if kind == "manim" and len(units) == 1 else path.stem)),
        units=units,
        payload=payload.to_json(),
        bundle=packed.bundle,
        image=settings.image,
        env=settings.env,
        resources=Resources(cpu=settings.cpu, memory_mib=settings.memory, gpu=settings.gpu),
        timeout=timedelta(seconds=settings.timeout),
        retries=settings.retries,
        store=settings.store,
        attached=spec.attached,
    )
    return Prepared(job=job, packed=packed)


def _check_text(spec: RenderSpec, settings: Settings) -> None:
    """Refuse bytes that are no text: they could not be sent."""
    texts = {f"the argument {text!a}": text for text in spec.arguments}
    texts |= {f"the variable {key!a}": key + value for key, value in settings.env.items()}
    for what, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SpecError(f"{what} is not UTF-8", hint="write it in a file of the folder") from error


def job_name(text: str) -> str:
    """Make a DNS label of any text: lower case, ASCII, at most NAME_MAX characters."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:NAME_MAX].rstrip("-") or "job"


def _check_encoder(settings: Settings, picture: RenderSettings | None) -> None:
    """Refuse a GPU that there is not, and an encoder that cannot make the picture or that the GPU does not have."""
    request = gpu_request.parse(settings.gpu) if settings.gpu is not None else None
    if picture is not None:
        encoders.check_encoder(settings.encoder, picture)
        if request is not None:
            gpu_request.require_encoder(request, settings.encoder)


def _checked_path(spec: RenderSpec) -> tuple[Path, Path]:
    path = spec.path
    if path.is_dir():
        raise SpecError(f"{path} is a folder", hint="name the Python file in it")
    if not path.exists():
        raise SpecError(f"there is no file {path}", hint=f"the current folder is {Path.cwd()}")
    if not path.is_file():
        raise SpecError(f"{path} is not a regular file")
    if path.suffix != ".py":
        raise SpecError(f"{path.name} is not a Python file", hint="a Python file's name ends in .py")
    root = spec.root or path.parent
    if not root.is_dir():
        raise SpecError(f"--root {root} is not a folder")
    if path.is_symlink() and spec.root is None and not path.resolve().is_relative_to(root.resolve()):
        raise SpecError(f"{path} is a link out of its folder, to {path.readlink()}", hint="name the file itself")
    if not path.resolve().is_relative_to(root.resolve()):
        raise SpecError(f"{path} is not inside --root {root}", hint="choose a folder that holds the file")
    return path, root


def _kind_and_units(spec: RenderSpec, path: Path) -> tuple[Kind, tuple[str, ...]]:
    tree = scenes.parse(path)
    if spec.kind == "script":
        return _script(spec, path)
    found = scenes.find_scenes(path)
    if spec.kind == "auto" and not found and not spec.scenes and not spec.every and not _is_bare_manim(tree):
        return _script(spec, path)
    if spec.arguments:
        raise SpecError("a Manim job takes no arguments after --", hint="for a script use --kind script")
    if spec.kind == "manim" and spec.scenes:
        return "manim", spec.scenes  # named with care: the file may make its classes as it runs
    return "manim", scenes.choose_scenes(path, found, spec.scenes, every=spec.every)


def _script(spec: RenderSpec, path: Path) -> tuple[Kind, tuple[str, ...]]:
    if spec.scenes or spec.every:
        raise SpecError(f"{path.name} runs as a script, which has no scenes", hint="arguments go after --")
    return "script", (path.name,)


def _is_bare_manim(tree: ast.Module) -> bool:
    """Tell a scene file without scenes from a script: it imports Manim and does nothing when it is run."""
    modules = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    acts = any(isinstance(node, (ast.Expr, ast.If, ast.For, ast.While, ast.With, ast.Try)) for node in tree.body[1:])
    return "manim" in {name.partition(".")[0] for name in modules} and not acts
