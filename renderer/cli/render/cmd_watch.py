"""Render scenes again each time that a file of their project is saved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.untrusted import show_line
from backends.worker_protocol import UnitResult, directive
from renderer import config
from renderer.cli.options import takes_render
from renderer.cli.output import print_message, show_job_text
from renderer.cli.preview import open_films
from renderer.cli.setting_options import Flags, refuse_webhook, takes_settings
from renderer.project.root import show_folder
from renderer.settings import Settings
from renderer.spec import RenderSpec
from renderer.watch.watching import Watch

Log = Annotated[bool, typer.Option("--log", help="Print what the scenes and Manim print, too.")]


@takes_settings
@takes_render
def command(log: Log = False, *, wanted: RenderSpec, flags: Flags) -> int:
    """Render scenes again each time that a file of their project is saved, until Ctrl-C.

    renderer watch scene.py MyScene --quality l -p

    Only what changed is drawn. The first play that changed is there first, as SCENE.changed.mp4, and then the film. -p
    opens it.
    """
    refuse_webhook(flags)
    loaded = config.load(flags)
    display = _Display(loaded.settings, with_log=log)
    try:
        Watch(wanted, lambda: config.load(flags), display).follow()
    except KeyboardInterrupt:
        print_message("\nstopped watching")
        return ExitCode.OK
    return ExitCode.OK


class _Display:
    """Prints what happens: files on stdout, all else on stderr."""

    def __init__(self, settings: Settings, *, with_log: bool) -> None:
        self._settings, self._with_log = settings, with_log
        self._has_opened = False

    def watching(self, path: Path, root: Path) -> None:
        """Print that changes count from now on."""
        print_message(show_line(f"watching {show_folder(root)} for {path} (Ctrl-C ends)"))

    def started(self, units: Sequence[str]) -> None:
        """Print that a render has started."""
        self._has_opened = False
        print_message(show_line(f"{time.strftime('%H:%M:%S')} rendering {', '.join(units)}"))

    def printed(self, text: str) -> None:
        """Print what the scenes print, if that is wanted."""
        if self._with_log:
            lines = [line for line in text.splitlines() if not directive(line)]
            print_message("\n".join(show_job_text(line) for line in lines))

    def changed(self, file: Path) -> None:
        """Print the path of the play that has changed, and open it."""
        print(show_line(str(file)), flush=True)
        self._open([file])

    def finished(self, files: Sequence[Path], results: Sequence[UnitResult], seconds: float) -> None:
        """Print the films, and what went wrong."""
        for file in files:
            print(show_line(str(file)), flush=True)
        for result in results:
            if result.error:
                self._print_error(result.error.message, result.error.details, result.error.hint)
            else:
                print_message(show_line(f"{result.unit}: {_describe_drawn(result)}{seconds:.1f} s"))
        if not self._has_opened:
            self._open(files)

    def failed(self, error: RendererError) -> None:
        """Print why there is no render."""
        self._print_error(str(error), None, error.hint)

    def _print_error(self, message: str, details: str | None, hint: str | None) -> None:
        lines = [*message.splitlines(), *(f"  {line}" for line in (details or "").splitlines())]
        print_message("\n".join(show_job_text(line) for line in lines))
        if hint:
            print_message(f"  → {show_line(hint)}")
        print_message("waiting for the next change")

    def _open(self, files: Sequence[Path]) -> None:
        if self._settings.preview:
            self._has_opened = True
            open_films(list(files), self._settings.output, self._settings.preview_command)


def _describe_drawn(result: UnitResult) -> str:
    """Return how many frames were drawn, and how many were in the cache."""
    frames, cached = result.render.get("frames"), result.render.get("cached")
    if not isinstance(frames, int) or not isinstance(cached, int):
        return ""
    return f"{frames - cached} of {frames} frames drawn, "
