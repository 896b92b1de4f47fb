"""Turns what a caller asks for into a job that is ready to be sent to a backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backends.errors import OutputError, SpecError
from backends.gpus.request import parse_gpu
from backends.untrusted import check_relative_name, show_line
from renderer import api, scenes
from renderer.config import Config
from renderer.maps import sources
from renderer.model import PreviewRequest
from renderer.serve import replicas
from renderer.serve.schemas import Run
from renderer.spec import RenderSpec


def plan_run(wanted: RenderSpec, loaded: Config, *, collects: bool = False) -> api.PlannedJob:
    """Prepare a job or a preview without sending anything. Raises SpecError for a wrong request.

    ``collects``: this process collects the outputs of untrusted jobs on Kubernetes.
    """
    if loaded.settings.shards == "auto":
        raise SpecError(
            "shards = auto steps a scene before it is submitted, and a server does not", hint="give a number"
        )
    shelf = replicas.choose_shelf(loaded) if collects else None
    if shelf:
        wanted, loaded = replace(wanted, foreground=True), replicas.separate_store(loaded)
    planned = api.plan(wanted, loaded)
    if shelf:
        replicas.set_shelf(planned.backend, shelf)
    if wanted.preview and planned.prepared.kind == "script":
        raise SpecError(f"{wanted.path.name} is a script, and only scenes have a preview", hint="name a scene of it")
    return planned


def hide_folder(error: SpecError, project: Path) -> SpecError:
    """Return the error with the names of files as the caller knows them."""

    def hide(text: str) -> str:
        text = text.replace(f"{project}/", "").replace(str(project), "the project")
        return text.replace(f"the current folder is {Path.cwd()}", "send it with the job")

    return SpecError(hide(str(error)), hint=error.hint and hide(error.hint))


def make_spec(run: Run) -> RenderSpec:
    """Return what is to run, with the path as it is in the project. Raises SpecError."""
    if run.inputs == []:
        raise SpecError("the map has no inputs", hint="send a JSON value for each run")
    inputs = () if run.inputs is None else sources.take_values(run.inputs)
    if run.max_failed is not None and not inputs:
        raise SpecError("max_failed is for a map", hint="send inputs as well")
    try:
        check_relative_name(run.file)
    except OutputError as error:
        raise SpecError(
            f"file cannot be '{show_line(run.file[:200])}'", hint="name a Python file of the project"
        ) from error
    return RenderSpec(
        path=Path(run.file),
        scenes=tuple(run.scenes),
        every=run.all,
        arguments=tuple(run.arguments),
        kind=run.kind,
        inputs=inputs,
        max_failed=run.max_failed,
        preview=_make_preview(run),
    )


def _make_preview(run: Run) -> PreviewRequest | None:
    wanted = run.preview
    return PreviewRequest(tuple(wanted.at), tuple(wanted.plays)) if wanted else None


def means_all_scenes(run: Run, root: Path) -> bool:
    """Return whether a request without names is for all scenes of its file, and not for a script.

    Raises SpecError for a file that is no Python.
    """
    if run.scenes or run.arguments:
        return False
    return bool(scenes.find_scenes(root / run.file, root))


def count_gpus(loaded: Config) -> int:
    """Return how many GPUs each unit of a job has; none on this machine, where they are not handed out."""
    settings = loaded.settings
    return parse_gpu(settings.gpu).count if settings.gpu is not None and settings.backend != "local" else 0


def without_webhook(loaded: Config) -> Config:
    """Return the settings without the webhook of the user's own jobs: the server's are those of its tokens."""
    return replace(loaded, settings=loaded.settings.model_copy(update={"webhook": None}))
