"""Makes the job that a backend receives, from the file, scenes and settings that the user names."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from backends import JobSpec, Resources
from backends.cache.location import check_cache_uri
from backends.debug_log import active_level
from backends.errors import SpecError
from backends.models import NAME_MAX
from backends.untrusted import Limits
from renderer import scenes
from renderer.bundle import pack
from renderer.image.public import choose_image
from renderer.maps import sources
from renderer.maps.inputs import INPUTS_FILE, MapInput, dump_inputs
from renderer.model import UNITS_FILE, EncoderSettings, Kind, PreviewRequest, RenderSettings, WorkerPayload
from renderer.project.left_out import explain_left_out_file
from renderer.project.needs import read_needs
from renderer.project.python_path import PythonPath, read_python_path
from renderer.project.root import check_root, choose_root, is_private, locate, show_folder
from renderer.settings import Settings
from renderer.units.asking import Answer, NotAskedError, Question, ask_scenes
from renderer.units.choice import FoundScenes, KindChoice, Wanted, choose_units, find_all_scenes
from renderer.units.options import choose_manim_options, find_manim_files
from renderer.units.shards import check_shards, choose_count, choose_seed
from renderer.video import catalog as encoders
from renderer.voice_store import find_kept_voices

if TYPE_CHECKING:
    from backends.webhooks.spec import Webhook

NAMES_LIMIT = 2**14  # bytes: longer lists of scenes travel in the bundle
WATCHED = frozenset({"local", "docker"})  # backends whose jobs have a supervisor, which sends webhooks
NEEDS_LENGTH = "shards: this is the job for one process: submit steps the scene first, to find out how long its film is"
MAX_NOTES = 5  # modules or links that notes name

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RenderSpec:
    """What to run: the Python file ``path`` with some ``scenes`` of it or ``every`` one, or with script ``arguments``.

    ``root`` is the folder to upload; renderer.project.root chooses one if it is None. ``foreground`` says that a client
    waits for the job and downloads its outputs.

    With ``inputs`` the job is a map: it runs the one scene or script once for each of them. ``are_files``: they are
    files of the project. The job is ended when more than ``max_failed`` of them have failed.

    With ``preview`` the job makes that of its scenes, and no video.
    """

    path: Path
    scenes: tuple[str, ...] = ()
    every: bool = False
    arguments: tuple[str, ...] = ()
    kind: KindChoice = "auto"
    root: Path | None = None
    name: str | None = None
    foreground: bool = True
    inputs: tuple[MapInput, ...] = ()
    are_files: bool = False
    max_failed: int | None = None
    preview: PreviewRequest | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedJob:
    """A job that a backend can plan, and the files of ``root`` that were packed for it.

    ``inputs`` are those of a map. ``notes`` are sentences for the user. With ``needs_length``, the job has one process
    until the length of its film is known.
    """

    job: JobSpec
    root: Path
    packed: pack.Packed
    kind: Kind
    inputs: tuple[MapInput, ...] = ()
    notes: tuple[str, ...] = ()
    needs_length: bool = False


def prepare(spec: RenderSpec, settings: Settings) -> PreparedJob:
    """Check the request, pack the folder and describe the job. Only reads files. Raises SpecError."""
    path, root = _checked_path(spec, untrusted=settings.untrusted)
    packing = functools.cache(lambda: _pack(path, root, settings))
    wanted = Wanted(kind=spec.kind, scenes=spec.scenes, every=spec.every, arguments=spec.arguments)
    chosen = choose_units(path, root, wanted, lambda: _ask_before_submit(path, root, packing, settings))
    kind, units = chosen.kind, chosen.names
    inputs = _check_inputs(spec, root, kind, units)
    options = choose_manim_options(settings.manim_options, units, root) if kind == "manim" else ()
    render = replace(settings.render_settings(), manim_options=options)
    shards, shard_notes, needs_length = _choose_shards(spec, settings, kind, units)
    _check_gpu_and_encoder(settings, render if kind == "manim" else None)
    _check_text(spec, settings)
    many = units if not inputs and len(json.dumps(units)) > NAMES_LIMIT else ()
    extra = {INPUTS_FILE: dump_inputs(inputs)} if inputs else {UNITS_FILE: json.dumps(many).encode()} if many else {}
    packed = _pack(path, root, settings, inputs if spec.are_files else (), extra) if extra else packing()
    links: tuple[tuple[str, str], ...] = ()
    if _sees_this_machine(settings):  # they lead to the same places for the job
        links = tuple(packed.links.items())
        packed = replace(
            packed, ignored={name: why for name, why in packed.ignored.items() if name not in packed.links}
        )
    if shards:
        render = choose_seed(render, packed.bundle.digest)
    python_path = read_python_path(root)
    needs = read_needs(path if kind == "script" else None, settings.packages, settings.requirements)
    image, image_notes = choose_image(settings.image, settings.backend)
    usual = Limits()
    payload = WorkerPayload(
        kind=kind,
        file=_file_in(root, path).as_posix(),
        units=() if many else units,
        units_in_bundle=len(many) or None,
        bundle=packed.bundle.digest,
        timeout=settings.timeout,
        arguments=spec.arguments,
        settings=render,
        encoder=EncoderSettings(encoder=settings.encoder, preset=settings.encoder_preset),
        log=active_level(),
        output_limit=None if (limit := settings.output_limit * 2**20) == usual.total else limit,
        output_files=None if settings.output_files == usual.files else settings.output_files,
        python_path=python_path.inside,
        inputs=len(inputs) if inputs else None,
        side_by_side=settings.k8s.parallelism if inputs and settings.backend in {"local", "docker"} else None,
        packages=needs.packages,
        requires_python=needs.python,
        preview=spec.preview,
        poster=settings.poster and kind == "manim" and spec.preview is None,
        shards=shards,
        links=links,
    )
    job = JobSpec(
        name=job_name(spec.name or (units[0] if kind == "manim" and len(units) == 1 else path.stem)),
        units=tuple(item.label for item in inputs) or units,
        payload=payload.to_json(),
        bundle=packed.bundle,
        image=image,
        packages=needs.packages,
        env=settings.env,
        resources=Resources(cpu=settings.cpu, memory_mib=settings.memory, gpu=settings.gpu),
        timeout=timedelta(seconds=settings.timeout),
        retries=settings.retries,
        store=settings.store,
        cache=_choose_cache(settings, kind),
        engine=kind == "manim",
        foreground=spec.foreground,
        untrusted=settings.untrusted,
        max_failed=0 if shards else spec.max_failed,
        is_map=bool(inputs),
        shards=shards,
        webhook=None if spec.preview else _choose_webhook(settings),
    )
    _log.debug("%s %s is the job %s with %d units of %s", kind, path, job.name, len(job.units), ", ".join(units))
    found = _find_notes(path, root, python_path, settings, packed)
    unused = ("cache: not used with --untrusted",) if settings.untrusted and settings.cache else ()
    notes = (*chosen.notes, *image_notes, *shard_notes, *found, *unused)
    return PreparedJob(
        job=job, root=root, packed=packed, kind=kind, inputs=inputs, notes=notes, needs_length=needs_length
    )


def _choose_shards(
    spec: RenderSpec, settings: Settings, kind: Kind, units: tuple[str, ...]
) -> tuple[int | None, tuple[str, ...], bool]:
    """Return the number of shards, notes about it, and whether ``auto`` has to know the film's length to choose it."""
    if not settings.shards or spec.preview:  # a preview has one process
        return None, (), False
    check_shards(settings, kind, units, is_map=bool(spec.inputs))
    if settings.shards != "auto":
        return settings.shards, (), False
    chosen = choose_count(spec.path, units[0], settings)
    if chosen is None:
        return None, (NEEDS_LENGTH,), True
    count, why = chosen
    return count if count > 1 else None, (f"shards: {count}, {why}",), False


def _choose_webhook(settings: Settings) -> Webhook | None:
    """Return the webhook of the job. Raises SpecError for one that could not be sent."""
    if not settings.webhook:  # an empty one switches off that of a file
        return None
    from backends.webhooks.spec import MAKE_SECRET, Webhook  # few jobs have one, and TLS takes long to import

    if settings.backend not in WATCHED:
        raise SpecError(
            f"--webhook cannot be used on {settings.backend}: none of our processes watches the job there",
            hint="submit by `renderer serve`, whose tokens have webhooks, or run `renderer wait HANDLE; curl …`",
        )
    if settings.webhook_secret_file is None:
        raise SpecError("--webhook needs --webhook-secret-file, whose secret signs the message", hint=MAKE_SECRET)
    secret = str(settings.webhook_secret_file.expanduser().absolute())
    webhook = Webhook(settings.webhook, secret, tuple(settings.serve.webhook_networks))
    webhook.check()
    return webhook


def _choose_cache(settings: Settings, kind: Kind) -> str | None:
    """Return the shared cache of the job. Scripts draw no chunks; who is not trusted neither reads nor writes any."""
    if settings.cache is None or kind == "script":
        return None
    uri = check_cache_uri(settings.cache, settings.backend)
    return None if settings.untrusted else uri


def _check_inputs(spec: RenderSpec, root: Path, kind: Kind, units: tuple[str, ...]) -> tuple[MapInput, ...]:
    """Return the inputs as the job gets them. Raises SpecError for more than one scene, and for what cannot be sent."""
    if not spec.inputs:
        return ()
    if len(units) > 1:
        raise SpecError(
            f"a map runs one scene, and these are {len(units)}: {', '.join(units[:5])}",
            hint="name one, and start a map for each",
        )
    inputs = sources.relative_to_root(spec.inputs, root) if spec.are_files else spec.inputs
    if kind == "script":
        sources.check_arguments(inputs)
    return inputs


def find_scenes(spec: RenderSpec, settings: Settings) -> FoundScenes:
    """Return the scenes of the file; it is run only if it may make scenes that cannot be read. Raises SpecError."""
    path, root = _checked_path(spec, untrusted=settings.untrusted)
    return find_all_scenes(path, root, lambda: _ask(path, root, lambda: _pack(path, root, settings), settings))


def _pack(
    path: Path,
    root: Path,
    settings: Settings,
    files: tuple[MapInput, ...] = (),
    extra: Mapping[str, bytes] | None = None,
) -> pack.Packed:
    """Pack the folder with the ``extra`` files. ``files`` are inputs that are files of it, and have to be included."""
    top = root.resolve()
    only = set(scenes.find_imported_files(path)) if is_private(root) else None
    if only is not None:
        only |= {top / item.value for item in files}
    packed = pack.pack(
        root,
        main=top / _file_in(root, path),
        limit=settings.bundle_limit_mib * 2**20,
        only=only,
        named=find_manim_files(settings.manim_options, root),
        voices=None if settings.untrusted else find_kept_voices(root),
        extra=extra,
    )
    if files:
        sources.check_uploaded(files, packed.files)
    return packed


def _file_in(root: Path, path: Path) -> PurePosixPath:
    """Return the path of the file in the bundle. For a link from outside the root, it is that of its target."""
    top = root.resolve()
    file = next(place for place in (locate(path), path.resolve()) if place.is_relative_to(top))
    return PurePosixPath(file.relative_to(top).as_posix())


def _ask_before_submit(path: Path, root: Path, packing: Callable[[], pack.Packed], settings: Settings) -> Answer:
    """Ask the file for its scenes if its code runs on this machine anyway. Raises NotAskedError if it does not."""
    if settings.backend != "local":
        remedy = f"`renderer scenes {path}` runs it here and lists them"
        raise NotAskedError(f"its code runs on the backend {settings.backend}", remedy)
    return _ask(path, root, packing, settings)


def _ask(path: Path, root: Path, packing: Callable[[], pack.Packed], settings: Settings) -> Answer:
    """Run the file here to ask for its scenes. Raises NotAskedError if code must not run here, or if that fails."""
    if settings.untrusted:
        raise NotAskedError("untrusted code runs in its sandbox only")
    packed = packing()
    question = Question(
        bundle=packed.bundle,
        links=packed.links.items(),
        file=_file_in(root, path),
        python_path=read_python_path(root).inside,
        environment=settings.env,
    )
    return ask_scenes(question)


def _sees_this_machine(settings: Settings) -> bool:
    """Return whether the job runs as the user on this machine, with all files of the user."""
    return settings.backend == "local" and not settings.untrusted


def _find_notes(
    path: Path, root: Path, python_path: PythonPath, settings: Settings, packed: pack.Packed
) -> Iterator[str]:
    """Yield sentences about modules and links that the file may need and that are not in the bundle."""
    uploaded = show_folder(root)
    if python_path.outside and not _sees_this_machine(settings):
        named = ", ".join(python_path.outside)
        yield f"{named}, of PYTHONPATH, is not uploaded: it lies outside of {uploaded}; --root chooses a wider folder"
    for name, place in scenes.find_modules_outside(path, root).items():
        yield f"{path.name} imports {name} from {place}, outside of {uploaded}; --root chooses a wider folder"
    with suppress(SpecError):  # a module that is not valid Python: the job says so, if it needs that
        imported = {file.relative_to(root.resolve()).as_posix() for file in scenes.find_imported_files(path, root)}
        for name in sorted(imported - set(packed.files) - packed.links.keys())[:MAX_NOTES]:
            yield f"{name}, which {path.name} imports, is not uploaded: {explain_left_out_file(root.resolve(), name)}"
    if links := [name for name in packed.ignored if name in packed.links]:
        more = f" and {len(links) - MAX_NOTES} more" if len(links) > MAX_NOTES else ""
        yield (
            f"links that lead out of the folder are not uploaded: {', '.join(links[:MAX_NOTES])}{more}; replace those "
            "that the job needs by copies, and exclude the others in .rendererignore"
        )


def _check_text(spec: RenderSpec, settings: Settings) -> None:
    """Raise SpecError for arguments and variables that no process can have, and those that are not UTF-8."""
    texts = {f"the argument {text!a}": text for text in spec.arguments}
    texts |= {f"the variable {key!a}": key + value for key, value in settings.env.items()}
    for what, text in texts.items():
        if "\0" in text:
            raise SpecError(f"{what} holds a zero character", hint="write it in a file that is uploaded")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SpecError(f"{what} is not UTF-8", hint="write it in a file that is uploaded") from error


def job_name(text: str) -> str:
    """Return a name for the job, made from any text: a DNS label (a-z, 0-9, -) of at most NAME_MAX characters.

    Letters of other scripts are transliterated.
    """
    if not text.isascii():
        from anyascii import anyascii  # most names do not need it

        text = anyascii(text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:NAME_MAX].rstrip("-") or "job"


def _check_gpu_and_encoder(settings: Settings, render: RenderSettings | None) -> None:
    """Raise SpecError for an unknown GPU, or for an encoder that cannot make the file or does not run on the GPU."""
    if render is not None:
        encoders.check_encoder(settings.encoder, render)
    if settings.gpu is not None:
        from backends.gpus import request  # most jobs have no GPU

        gpu = request.parse_gpu(settings.gpu)
        if render is not None:
            request.require_encoder(gpu, settings.encoder)


def _checked_path(spec: RenderSpec, *, untrusted: bool) -> tuple[Path, Path]:
    path = spec.path
    if str(path) == "-":
        raise SpecError("a job needs a file, and takes no code from standard input", hint="save it as scene.py")
    if path.is_dir():
        raise SpecError(f"{path} is a folder", hint="name the Python file in it")
    if not path.exists():
        raise SpecError(f"there is no file {path}", hint=f"the current folder is {Path.cwd()}")
    if not path.is_file():
        raise SpecError(f"{path} is not a regular file")
    if path.suffix != ".py":
        raise SpecError(f"{path.name} is not a Python file", hint="a Python file's name ends in .py")
    root = choose_root(path, spec.root, untrusted=untrusted)
    check_root(path, root, is_chosen=spec.root is not None)
    return path, root
