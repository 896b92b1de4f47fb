"""Manim's own options for `manim render`, so that habits work: each is passed on, translated, or answered.

The options that mean the same here, such as ``--quality``, are settings (see renderer.settings).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from backends.errors import SpecError
from backends.untrusted import show_line
from renderer.cli.output import print_message

PANEL = "Manim's own options"
NO_WINDOW = "a job has no window; -p opens the film when it is there"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, kw_only=True)
class ManimOption:
    """One option of Manim. ``flags`` are written as Manim writes them; ``value`` is the placeholder of its value.

    ``answer`` is what happens: it is passed to Manim in the job, it changes the settings in ``sets``, it gets a note,
    or it is refused. ``text`` says what it does, or what to do instead.
    """

    flags: tuple[str, ...]
    answer: Literal["passed", "translated", "noted", "refused"]
    text: str
    value: str | None = None
    repeated: bool = False
    sets: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The option's long flag."""
        return next(flag for flag in self.flags if flag.startswith("--"))

    @property
    def parameter(self) -> str:
        """The name of the command's parameter."""
        return "manim_" + self.name.removeprefix("--").replace("-", "_")


def _passed(*flags: str, text: str, value: str | None = None, repeated: bool = False) -> ManimOption:
    return ManimOption(flags=flags, answer="passed", text=text, value=value, repeated=repeated)


def _noted(*flags: str, text: str, value: str | None = None) -> ManimOption:
    return ManimOption(flags=flags, answer="noted", text=text, value=value)


def _refused(*flags: str, text: str, value: str | None = None) -> ManimOption:
    return ManimOption(flags=flags, answer="refused", text=text, value=value)


def _translated(*flags: str, text: str, **sets: object) -> ManimOption:
    return ManimOption(flags=flags, answer="translated", text=text, sets=sets)


OUTPUT_NAME = _passed(
    "-o", "--output_file", value="NAME", text="Name of the film; a folder that exists, or with a /, is like --output."
)
OPTIONS = (
    OUTPUT_NAME,
    _passed("-n", "--from_animation_number", value="N[,M]", text="Render from play N, and up to play M."),
    _translated("-s", "--save_last_frame", text="Only the last frame, as --format png.", format="png"),
    _passed("--save_sections", text="Save a video of each section, too."),
    _passed("--seed", value="N", text="Seed of random numbers."),
    _passed("--disable_caching", text="Draw all again, without the chunk cache."),
    _passed("-v", "--verbosity", value="LEVEL", text="How much Manim writes into the job's log."),
    _passed("-c", "--config_file", value="FILE", text="Another file than manim.cfg, in the project."),
    _passed("--tex_template", value="FILE", text="TeX template, in the project."),
    _passed("-0", "--zero_pad", value="N", text="Digits in the names of a png-sequence."),
    _passed("--video-codec", value="NAME", text="FFmpeg's name of the encoder; see also --encoder."),
    _passed("--pixel-format", value="NAME", text="FFmpeg's name of the pixel format."),
    _passed("--encoder-option", value="KEY=VALUE", text="Option of the encoder; may be repeated.", repeated=True),
    _passed("--enable_wireframe", text="OpenGL: draw wireframes."),
    _passed("--use_projection_fill_shaders", text="OpenGL: shaders for fills."),
    _passed("--use_projection_stroke_shaders", text="OpenGL: shaders for strokes."),
    _passed("--dry_run", text="Run the scene without making a file; --dry-run shows what would be sent."),
    _translated("-i", "--save_as_gif", text="As --format gif.", format="gif"),
    _translated("-g", "--save_pngs", text="As --format png-sequence.", format="png-sequence"),
    _translated("--use_opengl_renderer", text="As --renderer opengl.", renderer="opengl"),
    _noted("--progress_bar", value="HOW", text="renderer shows its own progress"),
    _noted("--leave_progress_bars", text="renderer shows its own progress"),
    _noted("--notify_outdated_version", "--silent", text="a job does not look for newer versions of Manim"),
    _noted("--max-inflight-encoders", value="N", text="renderer draws and encodes in parallel by itself"),
    _noted("--encoder-queue-size", value="N", text="renderer draws and encodes in parallel by itself"),
    _noted("--log_dir", value="DIR", text="the log is kept with the job: renderer logs HANDLE"),
    _noted("--log_to_file", text="the log is kept with the job: renderer logs HANDLE"),
    _noted("--no_latex_cleanup", text="a job's TeX files are not kept; an error shows the line of TeX"),
    _noted("-f", "--show_in_file_browser", text="the path is printed; -p opens the film"),
    _noted("--write_to_movie", text="the film is always written"),
    _noted("--flush_cache", text="the chunk cache removes old chunks by itself; --disable_caching draws all again"),
    _refused("--media_dir", value="DIR", text="films go to the folder of --output: write --output DIR"),
    _refused("-l", "--live-preview", text=NO_WINDOW),
    _refused("--enable_gui", text=NO_WINDOW),
    _refused("--gui_location", value="X,Y", text=NO_WINDOW),
    _refused("--fullscreen", text=NO_WINDOW),
    _refused("--force_window", text=NO_WINDOW),
    _refused("--jupyter", text="in a notebook use Manim's %%manim, or renderer.submit of a file"),
    _refused(
        "--background_color", value="COLOR", text="write background_color = COLOR below [CLI] in manim.cfg, or with -c"
    ),
)


def manim_parameters() -> Iterator[inspect.Parameter]:
    """Yield a parameter of the command for each option. Those without an effect are not in the help."""
    for item in OPTIONS:
        kind: Any = list[str] if item.repeated else str | None if item.value else bool
        default: Any = [] if item.repeated else None if item.value else False
        option = typer.Option(
            *_spellings(item.flags),
            metavar=item.value,
            help=item.text,
            rich_help_panel=PANEL,
            show_default=False,
            hidden=item.answer != "passed" and item.name != "--save_last_frame",
        )
        yield inspect.Parameter(
            item.parameter, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )


def _spellings(flags: tuple[str, ...]) -> list[str]:
    """Return the flags, also with - for _, as renderer writes its own. ``--dry-run`` is another option."""
    hyphens = [flag.replace("_", "-") for flag in flags if "_" in flag and flag != "--dry_run"]
    return [*flags, *hyphens]


def read_manim_options(values: Mapping[str, Any], flags: dict[str, object]) -> dict[str, object]:
    """Return the flags with what Manim's options mean. Prints notes; raises SpecError for an option that is refused."""
    given = [item for item in OPTIONS if values[item.parameter]]
    words: list[str] = []
    for item in given:
        if item.answer == "refused":
            raise SpecError(f"{item.name} does not work here", hint=item.text)
        if item.answer == "noted":
            print_message(f"note: {item.name} has no effect: {item.text}")
        for key, value in item.sets.items():
            flags.setdefault(key, value)
        if item.answer == "passed":
            words += _pass_on(item, values[item.parameter], flags)
    return {**flags, "manim_options": words} if words else flags


def _pass_on(item: ManimOption, value: Any, flags: dict[str, object]) -> list[str]:
    """Return the arguments for Manim. Raises SpecError for a value that Manim would not take."""
    if item is OUTPUT_NAME and is_folder(value):
        flags["output"] = value
        return []
    if item.value is None:
        return [item.name]
    _check_value(item, value)
    return [word for each in (value if item.repeated else [value]) for word in (item.name, str(each))]


def is_folder(text: str) -> bool:
    """Return whether the value of ``-o`` is a folder for the files, not the name of the film."""
    return "/" in text or "\\" in text or text in {".", ".."} or Path(text).is_dir()


def _check_value(item: ManimOption, value: Any) -> None:
    forms = {
        "--from_animation_number": (r"-?\d+|\d+[,;-]\d+", "write the first play, or the first and the last: 3 or 3,7"),
        "--verbosity": (rf"(?i){'|'.join(LEVELS)}", f"it can be {', '.join(LEVELS)}"),
        "--seed": (r"-?\d+", "write a whole number"),
        "--zero_pad": (r"\d", "write a number from 0 to 9"),
    }
    form, hint = forms.get(item.name, (r"(?s).*", ""))
    if isinstance(value, str) and not re.fullmatch(form, value):
        raise SpecError(f"{item.name} cannot be {show_line(value)!r}: {hint}")
    if item.repeated and any(not re.fullmatch(r"(?s)[^=]+=.+", each) for each in value):
        raise SpecError(f"{item.name} cannot be {show_line(value[0])!r}: write it as KEY=VALUE")
