"""Reads the worker's arguments and inputs, and runs the units."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from backends import debug_log
from backends.errors import InputError, RendererError
from backends.exit_codes import ExitCode
from backends.processes import set_dumpable
from backends.untrusted.unit_states import parse_units
from renderer.bundle.unpack import read_file
from renderer.maps.inputs import INPUTS_FILE
from renderer.model import UNITS_FILE, WorkerPayload
from renderer.worker import packages
from renderer.worker.pool import Pool, Stopped
from renderer.worker.reports import Reports
from renderer.worker.unpacked_job import UnpackedJob

DESCRIPTION = """\
Run units of a job: scenes of a Manim file, or a script. Backends start this program; it can be started by hand, too,
with task.json and bundle.tar.gz from the folder of a local job that runs."""
EPILOG = """\
Each unit leaves OUTPUT/INDEX/files (its outputs), log.txt (what it printed) and result.json (how it ended). A unit that
has succeeded there before is not run again. The exit code is that of the first unit that failed.
RENDERER_LOG=debug logs what the worker does to stderr."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of the worker's command line."""

    task: Path
    bundle: Path
    output: Path
    units: list[int]
    report: bool
    send: bool
    label: bool
    side_by_side: int | None
    states: str


def run(words: list[str]) -> NoReturn:
    """Run the worker's command line and end this process."""
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a normal exit needs a tenth of a second to destroy Manim's objects


def main(words: list[str] | None = None) -> ExitCode:
    """Run the units that the command line names; return the exit code of the first that failed."""
    arguments = _parse(words)
    set_dumpable(False)
    try:
        debug_log.configure(debug_log.level_from_environment())
        with _scratch_folder() as scratch:
            os.chdir(scratch)  # Manim reads a manim.cfg where it is imported; the scene's own is read later
            job = _read_job(arguments, scratch)
            earlier = parse_units(json.loads(arguments.states), range(job.payload.count))
            reports = Reports(
                enabled=arguments.report, sending=arguments.send, labelling=arguments.label, earlier=earlier
            )
            return Pool(job, reports).run(arguments.units)
    except Stopped:
        return ExitCode.TERMINATED
    except RendererError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except OSError as error:
        return _fail(f"the worker cannot go on: {error}", None, ExitCode.OUTPUT)


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Yield a new folder, and remove it as far as possible: a job may leave folders that nobody can remove."""
    path = Path(tempfile.mkdtemp(prefix="renderer-")).resolve()  # TMPDIR may be a link
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _fail(message: str, hint: str | None, code: ExitCode) -> ExitCode:
    if hint:
        print(f"hint: {hint}", flush=True)
    print(f"openjd_fail: {message}", flush=True)  # last: supervisors show the last line
    return code


def _parse(words: list[str] | None) -> Arguments:
    parser = argparse.ArgumentParser(
        prog="python -I -m renderer.worker",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--task", type=Path, required=True, metavar="FILE", help="what to render and how: the job's task.json"
    )
    parser.add_argument(
        "--bundle", type=Path, required=True, metavar="FILE", help="the project's files: the job's bundle.tar.gz"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the units' folders; created when missing"
    )
    parser.add_argument(
        "--unit",
        type=int,
        required=True,
        action="append",
        metavar="INDEX",
        help="a unit to run, counted from 0 in the order of the task's units; may be repeated",
    )
    parser.add_argument(
        "--report", action="store_true", help="write each unit's start and result to stderr, for a supervisor"
    )
    parser.add_argument("--send", action="store_true", help="write to stderr, too, what each unit prints and stores")
    parser.add_argument("--label", action="store_true", help="begin each line on stdout with the index of its unit")
    parser.add_argument("--side-by-side", type=int, metavar="N", help="how many units run at the same time at most")
    parser.add_argument("--states", default="{}", metavar="JSON", help="with --label: units that ended before")
    found = parser.parse_args(words)
    return Arguments(
        task=found.task.absolute(),
        bundle=found.bundle.absolute(),
        output=found.output.absolute(),
        units=found.unit,
        report=found.report,
        send=found.send,
        label=found.label,
        side_by_side=found.side_by_side,
        states=found.states,
    )


def _read_job(arguments: Arguments, scratch: Path) -> UnpackedJob:
    try:
        payload = WorkerPayload.from_json(arguments.task.read_bytes())
        if arguments.side_by_side:
            payload = replace(payload, side_by_side=arguments.side_by_side)
        debug_log.configure(payload.log)
        inputs = _read_inputs(arguments.bundle, payload) if payload.inputs else ()
        if payload.units_in_bundle:
            payload = replace(payload, units=_read_units(arguments.bundle, payload))
        arguments.bundle.stat()
    except OSError as error:
        message = f"cannot read the inputs: {error}"
        raise InputError(message, hint="check --task and --bundle, or submit the job again") from error
    unknown = [unit for unit in arguments.units if not 0 <= unit < payload.count]
    if unknown:
        names = ", ".join(f"{index} {name}" for index, name in enumerate(payload.units))
        hint = f"its units are 0 to {payload.count - 1}" if inputs else f"its units are: {names}"
        raise InputError(f"the job has no unit {unknown[0]}", hint=hint)
    if payload.requires_python:
        packages.check_python(payload.requires_python, payload.file)
    environment = packages.make_environment(payload.packages, scratch) if payload.packages else None
    return UnpackedJob(
        payload=payload,
        bundle=arguments.bundle,
        scratch=scratch,
        output=arguments.output,
        environment=environment,
        inputs=inputs,
    )


def _read_units(bundle: Path, payload: WorkerPayload) -> tuple[str, ...]:
    """Return the names of the units that are in the bundle."""
    return tuple(json.loads(read_file(bundle.read_bytes(), payload.bundle, UNITS_FILE)))


def _read_inputs(bundle: Path, payload: WorkerPayload) -> Sequence[bytes]:
    """Return the lines with the inputs of a map."""
    return read_file(bundle.read_bytes(), payload.bundle, INPUTS_FILE).splitlines()
