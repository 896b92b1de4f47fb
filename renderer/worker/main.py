"""Reads the worker's arguments and its inputs."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from backends import debug_log
from backends.errors import InputError, RendererError
from backends.exit_codes import ExitCode
from renderer.bundle.archive import unpack
from renderer.model import WorkerPayload
from renderer.worker.pool import Pool, Stopped
from renderer.worker.units import Job


def main(arguments: list[str] | None = None) -> ExitCode:
    """Run the units named on the command line; the exit code is that of the first unit that failed."""
    options = _parser().parse_args(arguments)
    for name in ("task", "bundle", "output"):
        setattr(options, name, getattr(options, name).absolute())
    try:
        with tempfile.TemporaryDirectory(prefix="renderer-", ignore_cleanup_errors=True) as scratch:
            os.chdir(scratch)  # Manim reads a manim.cfg where it is imported; the scene's own is read later
            return Pool(_job(options, Path(scratch).resolve())).run(options.unit)  # TMPDIR may be a link
    except Stopped:
        return ExitCode.TERMINATED
    except RendererError as error:
        print(f"openjd_fail: {error}", flush=True)
        return error.exit_code
    except OSError as error:
        print(f"openjd_fail: the worker cannot go on: {error}", flush=True)
        return ExitCode.OUTPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m renderer.worker", description="Runs units of a job.")
    parser.add_argument("--task", type=Path, required=True, help="the job's task as JSON")
    parser.add_argument("--bundle", type=Path, required=True, help="the job's inputs, a .tar.zst")
    parser.add_argument("--output", type=Path, required=True, help="folder for INDEX/files, log.txt and result.json")
    parser.add_argument("--unit", type=int, required=True, action="append", help="index of a unit; may be repeated")
    return parser


def _job(options: argparse.Namespace, scratch: Path) -> Job:
    try:
        payload = WorkerPayload.from_json(options.task.read_bytes())
        debug_log.configure(payload.log)
        source = scratch / "source"
        unpack(options.bundle.read_bytes(), payload.bundle, source)
    except OSError as error:
        raise InputError(f"cannot read the inputs: {error}", hint="submit the job again") from error
    unknown = [unit for unit in options.unit if not 0 <= unit < len(payload.units)]
    if unknown:
        raise InputError(f"the job has {len(payload.units)} units, none with index {unknown[0]}")
    return Job(payload=payload, source=source, scratch=scratch, output=options.output, python=sys.executable)
