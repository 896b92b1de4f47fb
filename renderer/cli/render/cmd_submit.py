"""Submit a job; unless --detach is given, wait for it and download its outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backends import JobState, JobStatus
from backends.exit_codes import ExitCode
from backends.local.early import command as early
from backends.untrusted import show_line, show_text
from renderer import api, config, fetch
from renderer.bundle.pack import Packed
from renderer.cli.options import Detach, DryRun, Json, takes_render
from renderer.cli.output import MOST_UNITS, count_line, print_json, print_message, status_json, status_lines
from renderer.cli.preview import open_films
from renderer.cli.setting_options import Flags, takes_settings
from renderer.cli.status_display import StatusDisplay
from renderer.config_files import SHOWN
from renderer.maps.results import RESULTS
from renderer.project.root import show_folder
from renderer.settings import Settings
from renderer.spec import RenderSpec
from renderer.units.options import find_film_name

MOST_SHOWN = 10  # names in one message


@takes_settings
@takes_render
def command(
    detach: Detach = False,
    dry_run: DryRun = False,
    json: Json = False,
    *,
    wanted: RenderSpec,
    flags: Flags,
) -> int:
    """Render scenes of a Manim file, or run a Python script, and download the results into --output.

    renderer submit scene.py MyScene --quality h

    renderer submit script.py -- --frames 100
    """
    return run(wanted, flags, detach=detach, dry_run=dry_run, json=json)


def run(wanted: RenderSpec, flags: Flags, *, detach: bool, dry_run: bool, json: bool) -> int:
    """Submit the job and, unless ``detach``, wait for it and download its outputs; return the exit code."""
    planned = api.plan(replace(wanted, foreground=not detach), config.load(flags))
    return run_planned(planned, detach=detach, dry_run=dry_run, json=json)


def run_planned(planned: api.PlannedJob, *, detach: bool, dry_run: bool, json: bool) -> int:
    """Submit a planned job and, unless ``detach``, wait for it and download its outputs; return the exit code."""
    loaded = planned.loaded
    if planned.prepared.needs_length and not dry_run:
        if not json:
            print_message("shards: stepping the scene first, to find out how long its film is")
        planned = planned.choose_shards()
    if not json:
        _print_notes(planned)
    if dry_run:
        return _print_plan(planned, loaded, json=json)
    settings = _choose_output(planned, loaded.settings)
    if not detach:
        fetch.check_writable(settings.output)
    job = planned.submit()
    early.discard()
    for note in () if json else job.backend.notes:
        print_message(f"note: {show_line(note)}")
    if detach:
        if settings.preview:
            print_message("note: -p has no effect with --detach")
        print_json({"handle": str(job.handle)}) if json else print(job.handle)
        return ExitCode.OK
    return wait_and_fetch(job, settings, json=json)


def _choose_output(planned: api.PlannedJob, settings: Settings) -> Settings:
    """Return the settings. ``-o NAME`` names the film of a scene, but for a script it is the folder."""
    name = find_film_name(settings.manim_options)
    if planned.prepared.kind == "script" and name:
        return settings.model_copy(update={"output": Path(name)})
    return settings


def _print_notes(planned: api.PlannedJob) -> None:
    packed = planned.prepared.packed
    print_message(f"{_describe_size(packed)} of {show_line(show_folder(planned.prepared.root))}")
    for note in (*planned.prepared.notes, *planned.plan.notes):
        print_message(f"note: {show_line(note)}")
    if not packed.is_whole:
        names = show_line(", ".join(packed.files))
        print_message(
            f"note: the folder of {planned.path} holds more than a project: only {names} "
            f"{'is' if len(packed.files) == 1 else 'are'} uploaded; move the project to a folder of its own"
        )
    if packed.credentials:
        print_message(_describe_credentials(packed.credentials))


def _describe_size(packed: Packed) -> str:
    units = ((2**20, "MiB"), (2**10, "KiB"))
    size = next((f"{packed.size / unit:.1f} {name}" for unit, name in units if packed.size >= unit), None)
    return f"{len(packed.files)} file{'' if len(packed.files) == 1 else 's'}, {size or f'{packed.size} bytes'}"


def _describe_credentials(names: tuple[str, ...]) -> str:
    shown = ", ".join(show_line(name) for name in names[:MOST_SHOWN])
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return (
        f"left out, because they look like credentials: {shown}{more} "
        "(to include one, write ! and its name in .rendererignore)"
    )


def _print_plan(planned: api.PlannedJob, loaded: config.Config, *, json: bool) -> int:
    packed = planned.prepared.packed
    origins = {key: origin for key, origin in sorted(loaded.origins.items()) if key in SHOWN}
    content = {
        "bundle": packed.bundle.digest,
        "size": packed.size,
        "files": packed.files,
        "left_out": {"credentials": packed.credentials, "ignored": list(packed.ignored)},
        "units": planned.prepared.job.units,
        "origins": origins,
        "request": str(planned.plan.request),
    }
    if json:
        print_json(content)
        return ExitCode.OK
    print(f"bundle sha256:{packed.bundle.digest}: {len(packed.files)} files, {packed.size} bytes")
    for file in packed.files:
        print(f"  {show_line(file)}")
    for file, reason in packed.ignored.items():
        print(f"  left out: {show_line(f'{file} ({reason})')}")
    units = planned.prepared.job.units
    more = f" and {len(units) - MOST_SHOWN} more" if len(units) > MOST_SHOWN else ""
    print(f"units: {show_line(', '.join(units[:MOST_SHOWN]))}{more}")
    for key, origin in origins.items():
        print(f"{key} comes from {show_line(origin)}")
    print(show_text(str(planned.plan.request)))
    return ExitCode.OK


def _cancel_hopeless(job: api.Job, status: JobStatus) -> JobStatus:
    """Cancel a job that can never start, and that the backend keeps: nobody waits for it any more.

    Return its status with that as the only note.
    """
    if status.state is not JobState.FAILED or status.finished:
        return status
    job.cancel()
    return replace(status, notes=("the job is cancelled, so that it takes nothing from the cluster",))


def wait_and_fetch(job: api.Job, settings: Settings, *, json: bool) -> int:
    """Wait until the job has ended, download its outputs, and print where they are; return the job's exit code."""
    print_message(f"submitted {job.handle}")
    try:
        with StatusDisplay(quiet=json) as display:
            status = _cancel_hopeless(job, job.wait(on_status=display.show))
        files = job.fetch(settings.output, overwrite=settings.overwrite)
    except KeyboardInterrupt:
        print_message(f"\nstopped waiting; the job keeps running\n  → wait again: renderer wait {job.handle}")
        print_message(f"  → stop it:    renderer cancel {job.handle}")
        return ExitCode.INTERRUPTED
    if settings.preview and settings.untrusted:
        print_message("note: -p: the film of an untrusted job is not opened: open it where it can do no harm")
    elif settings.preview:
        open_films(files, settings.output, settings.preview_command)
    if json:
        print_json({**status_json(status), "outputs": [str(file.absolute()) for file in files]})
    else:
        shown = [file for file in files if file.name == RESULTS] if len(status.units) > MOST_UNITS else files
        for file in shown or files:
            print(file)
        if len(status.units) > MOST_UNITS and status.state is JobState.SUCCEEDED:
            print_message(count_line(status))
        if not files and status.state is JobState.SUCCEEDED:
            print_message(f"the job made no files; `renderer logs {job.handle}` shows what it printed")
        if status.state is not JobState.SUCCEEDED:
            print_message("\n".join(status_lines(status)))
            if len(status.units) > 1:
                print_message(f"  → renderer retry {job.handle} runs those again that did not succeed")
    return status.exit_code or ExitCode.OK
