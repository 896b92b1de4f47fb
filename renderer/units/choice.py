"""Decides whether a file is a Manim job or a script, and which units the job has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from backends.errors import SpecError
from renderer import scenes as scene_files
from renderer.model import Kind
from renderer.scenes import Scene, choose_scenes
from renderer.units.asking import Answer, NotAskedError
from renderer.units.reading import Reading, may_define, read_use_of_manim

# auto: a file with scenes, or that uses Manim and does not render by itself, is a Manim job; any other is a script
KindChoice = Literal["auto", "manim", "script"]
Ask = Callable[[], Answer]  # runs the file; raises NotAskedError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the user has asked for: some ``scenes`` or ``every`` one, or a script's ``arguments``."""

    kind: KindChoice
    scenes: tuple[str, ...] = ()
    every: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Units:
    """The units of a job. ``names`` are those of scenes, or the script's; ``notes`` are sentences for the user."""

    kind: Kind
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoundScenes:
    """The scenes of a file, and those that it only imports, each with its file.

    ``why_partial`` is set if it may make others as it runs and could not be asked; ``remedy`` is how to ask it.
    """

    scenes: list[Scene]
    uses_manim: bool
    imported: Mapping[str, str] = field(default_factory=dict)
    why_partial: str | None = None
    remedy: str | None = None


def choose_units(path: Path, root: Path, wanted: Wanted, ask: Ask) -> Units:
    """Return the units of the job. The file is run by ``ask`` only if reading it is not enough. Raises SpecError."""
    scene_files.parse(path, root)
    if wanted.kind == "script":
        return _script(path, wanted)
    reading = read_use_of_manim(path, root)
    _check_program(path, reading)
    found = _find_wanted(path, root, wanted, reading, ask)
    if not found.scenes and _is_script(wanted, reading):
        return _script(path, wanted)
    if reading.own_module:  # scripts run in a process of their own
        raise SpecError(
            f"{path.name} imports {_shorten(reading.own_module)}, which has the name of a package of this program",
            hint="rename it: scenes are rendered in a process that has the other one",
        )
    if wanted.arguments:
        raise SpecError("a Manim job takes no arguments after --", hint="for a script use --kind script")
    known = {scene.name for scene in found.scenes}
    missing = [name for name in wanted.scenes if name not in known]
    if wanted.scenes and not wanted.every and (wanted.kind == "manim" or (missing and found.why_partial)):
        notes = (_describe_search(path, missing, found),) if found.why_partial else ()
        return Units(kind="manim", names=tuple(dict.fromkeys(wanted.scenes)), notes=notes)
    if missing or not found.scenes:
        _check_imported(path, found, missing)
    if not found.scenes:
        raise _no_scene(path, wanted, found)
    names = choose_scenes(path, found.scenes, wanted.scenes, every=wanted.every)
    partial = f"{path.name} may make other scenes as it runs, which are not included: {found.why_partial}"
    return Units(kind="manim", names=names, notes=(partial,) if found.why_partial else ())


def find_all_scenes(path: Path, root: Path, ask: Ask) -> FoundScenes:
    """Return the scenes of the file, those that it makes as it runs included."""
    reading = read_use_of_manim(path, root)
    _check_program(path, reading)
    return _find_wanted(path, root, Wanted(kind="auto", every=True), reading, ask)


def _find_wanted(path: Path, root: Path, wanted: Wanted, reading: Reading, ask: Ask) -> FoundScenes:
    """Return the scenes of the file: those that can be read, if they are enough; else what the file itself says."""
    read = scene_files.find_scenes(path, root)
    if wanted.scenes and not wanted.every:
        is_enough = wanted.kind == "manim" or {scene.name for scene in read} >= set(wanted.scenes)
    elif wanted.arguments or (reading.renders_itself and not wanted.every and not reading.makes_scenes):
        is_enough = True
    else:
        is_enough = bool(read) and not reading.makes_scenes
    imported = {name: _shorten(file) for name, file in scene_files.find_imported_scenes(path, root).items()}
    found = FoundScenes(scenes=read, uses_manim=reading.uses_manim or wanted.kind == "manim", imported=imported)
    if is_enough or not (found.uses_manim or may_define(path, root, wanted.scenes)):
        return found
    try:
        answer = ask()
    except NotAskedError as error:
        return replace(found, why_partial=str(error), remedy=error.remedy)
    known = {scene.name: scene for scene in read}
    scenes = [known.get(scene.name, scene) for scene in answer.scenes]
    return replace(found, scenes=scenes, imported={**answer.imported, **imported})


def _shorten(file: Path) -> str:
    """Return the path as the user would type it here."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _is_script(wanted: Wanted, reading: Reading) -> bool:
    """Return whether a file without scenes is a script."""
    if wanted.kind != "auto" or wanted.scenes or wanted.every:
        return False
    return not reading.uses_manim or bool(wanted.arguments) or reading.renders_itself


def _describe_search(path: Path, missing: list[str], found: FoundScenes) -> str:
    names = ", ".join(missing)
    why = f"and it could not be asked: {found.why_partial}"
    return f"no scene {names} can be read in {path.name}, {why}; the job will look"


def _check_imported(path: Path, found: FoundScenes, missing: list[str]) -> None:
    """Raise SpecError if the file only imports the scene: Manim renders it from the file that defines it."""
    name = next((name for name in missing or found.imported if name in found.imported), None)
    if name:
        raise SpecError(
            f"{path.name} has no scene of its own called {name}: it imports it from {found.imported[name]}",
            hint=f"Manim renders a scene from the file that defines it: renderer submit {found.imported[name]} {name}",
        )


def _no_scene(path: Path, wanted: Wanted, found: FoundScenes) -> SpecError:
    """Return the error for a file in which there is no scene."""
    if found.why_partial:
        return SpecError(
            f"{path.name} has no scene that can be read, and could not be asked for others: {found.why_partial}",
            hint=f"name the scenes that it makes{f' ({found.remedy})' if found.remedy else ''}; "
            "for a plain script use --kind script",
        )
    if wanted.scenes:
        hint = "it has none; a script's arguments go after --"
        return SpecError(f"{path.name} has no scene {wanted.scenes[0]!r}", hint=hint)
    what = "uses Manim, but has no scene" if found.uses_manim else "has no scene"
    hint = "a scene is a class derived from Scene; for a plain script use --kind script"
    return SpecError(f"{path.name} {what}", hint=hint)


def _check_program(path: Path, reading: Reading) -> None:
    if reading.other_manim:
        raise SpecError(
            f"{path.name} is made for ManimGL ({reading.other_manim}), another program than Manim Community",
            hint="change its imports to manim, or run it as a plain program: --kind script",
        )


def _script(path: Path, wanted: Wanted) -> Units:
    if wanted.scenes or wanted.every:
        raise SpecError(f"{path.name} runs as a script, which has no scenes", hint="arguments go after --")
    return Units(kind="script", names=(path.name,))
