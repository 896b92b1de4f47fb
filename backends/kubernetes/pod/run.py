"""Renders the units of a job's pod: run the worker, then let its outputs be stored or downloaded."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends import output_stream as stream
from backends.chunk_store.shard_results import explain_whole
from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod.outcome import read_outcome
from backends.kubernetes.pod.paths import (
    CONTACT,
    HEADER,
    INPUTS,
    OUTPUT,
    POLL_INTERVAL_S,
    READY,
    RELEASED,
    RENDERED,
    SCRATCH,
    STORED_BUNDLE,
)
from backends.kubernetes.pod.report import write_note, write_report
from backends.kubernetes.pod.units import (
    PodUnits,
    choose_exit_code,
    describe_failures,
    read_earlier,
    read_unit_result,
    report_results,
)
from backends.problem import Problem
from backends.processes import isolated_command, oom_kills
from backends.untrusted import Limits
from backends.untrusted.unit_states import UnitReported, dump_units
from backends.worker_protocol import LABEL, RESULT, STATES, WORKER, worker_command

WORKER_GRACE_S = 120.0  # for the worker to unpack the inputs and to hash the outputs, beside the time to render
END_TIMEOUT_S = 10.0  # a driver may hold a process for a while
OOM_SCORE_MARGIN = 100  # tenths of a percent of the memory limit
_PR_SET_DUMPABLE = 4  # prctl(2)


def run(units: PodUnits, *, stored: bool, collect_timeout_s: int, timeout_s: int, limits: Limits) -> int:
    """Render the ``units`` of this pod's completion index and return the exit code.

    With ``stored`` the store's container gets the inputs and keeps the outputs; otherwise the pod waits
    ``collect_timeout_s`` for a download. ``timeout_s`` is the time limit of each unit, ``limits`` are those of the
    pod's outputs. Raises OutputError, ResultError.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # the worker, of the same user, can neither read nor trace us
    if stored:
        return _run_with_store(units, timeout_s)
    code = _run_worker(_find_bundle(), units, {}, timeout_s)
    if not any(os.path.lexists(OUTPUT / str(unit) / RESULT) for unit in units.indexes):
        return code  # the worker was killed: it did not leave outputs
    _prepare_download(units.indexes, limits)
    return _wait_for_download(collect_timeout_s, code, has_outputs=units.shared or _has_outputs(units.indexes[0]))


def _find_bundle() -> Path:
    """Return the bundle's file, after joining the pieces of one that came in several ConfigMaps."""
    bundle = INPUTS / names.BUNDLE_KEY
    if bundle.exists():
        return bundle
    joined = SCRATCH / names.BUNDLE_KEY
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with joined.open("wb") as file:
        for piece in sorted(INPUTS.glob(f"{names.BUNDLE_KEY}.*")):
            file.write(piece.read_bytes())
    return joined


def _run_with_store(units: PodUnits, timeout_s: int) -> int:
    while not (outcome := read_outcome()) and not STORED_BUNDLE.exists():
        time.sleep(POLL_INTERVAL_S)
    code = 0
    if not outcome:  # otherwise the inputs cannot be had, or earlier attempts have stored everything
        code = _run_worker(STORED_BUNDLE, units, read_earlier(units.indexes), timeout_s)
        _remove(RENDERED)
        RENDERED.touch()
        while not (outcome := read_outcome()):
            time.sleep(POLL_INTERVAL_S)
    elif units.shared and not outcome.exit_code:
        code = _report_units(read_earlier(units.indexes))
    if outcome.exit_code and not code:
        write_report(outcome)
    return code or outcome.exit_code or 0


def _run_worker(bundle: Path, units: PodUnits, earlier: Mapping[int, UnitReported], timeout_s: int) -> int:
    """Run the units that no ``earlier`` pod has finished. Return the exit code of the pod."""
    left = [unit for unit in units.indexes if unit not in earlier]
    command = worker_command(
        isolated_command(WORKER),
        task=str(INPUTS / names.TASK_KEY),
        bundle=str(bundle),
        output=str(OUTPUT),
        units=left,
        options=[
            *([LABEL, STATES, dump_units(earlier)] if units.shared else []),
            *(["--side-by-side", "1"] if units.one_by_one else []),
        ],
    )
    for folder in (OUTPUT, SCRATCH):
        folder.mkdir(parents=True, exist_ok=True)
    kills_before = oom_kills()
    environment = {**os.environ, "TMPDIR": str(SCRATCH)}
    most_s = timeout_s * len(left)
    with subprocess.Popen(command, start_new_session=True, env=environment) as worker:
        _raise_oom_score(worker.pid)
        try:
            code = worker.wait(most_s + WORKER_GRACE_S)
        except SystemExit:
            worker.terminate()
            worker.wait()
            raise
        except subprocess.TimeoutExpired:  # the scene has stopped or killed what limits its time
            _end_processes()
            return _report_timeout(most_s)
    _end_processes()
    if code == -signal.SIGKILL and oom_kills() > kills_before:
        code = ExitCode.OUT_OF_MEMORY
    code = 128 - code if code < 0 else code
    if units.shared:
        return _report_units(report_results(units.indexes, earlier, code))
    _report_result(units.indexes[0])
    return code


def _report_units(units: Mapping[int, UnitReported]) -> int:
    """Report how the units of a pod that has several ended; return the exit code of the pod."""
    if problem := describe_failures(units):
        write_report(problem, units)
    return choose_exit_code(units)


def _raise_oom_score(worker: int) -> None:
    """Make the kernel kill the worker before this process when the container's memory runs out.

    The kernel often kills more than one process, because the memory of the first one is not free at once. This process
    must survive: it reports why the worker ended, which the container runtime may miss.
    """
    own = int(Path("/proc/self/oom_score_adj").read_text())
    with contextlib.suppress(OSError):  # the worker has ended already
        Path(f"/proc/{worker}/oom_score_adj").write_text(str(min(own + OOM_SCORE_MARGIN, 1000)))


def _end_processes() -> None:
    """End everything else in the container: what a scene leaves behind must not use the GPU or change its outputs."""
    if os.getpid() != 1:  # with a shared process namespace, others are not ours
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    until = time.monotonic() + END_TIMEOUT_S
    with contextlib.suppress(ChildProcessError):  # all have ended
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(POLL_INTERVAL_S)


def _report_timeout(timeout_s: int) -> int:
    message = f"the render did not end within its time limit of {timeout_s} s"
    write_report(Problem(message=message, hint="raise --timeout if it needs more"))
    return ExitCode.TIMEOUT


def _report_result(unit: int) -> None:
    """Report the problem of the unit's result, or why this shard rendered the whole scene.

    Raises ResultError for a damaged result.
    """
    result = read_unit_result(unit)
    if result and result.error:
        write_report(result.error)
    elif result and (whole := explain_whole(result)):
        write_note(Problem(message=whole))


def _prepare_download(units: Sequence[int], limits: Limits) -> None:
    """Make the stream's header, and show the client that it can download."""
    if any(path.is_symlink() for path in (OUTPUT, *(OUTPUT / str(unit) for unit in units))):
        raise OutputError("the job replaced the folder of its outputs by a link")
    header = stream.build_header(OUTPUT, limits)
    for path in (RELEASED, RELEASED.with_suffix(".part"), HEADER, CONTACT, READY):
        _remove(path)
    HEADER.write_bytes(header)
    CONTACT.touch()
    READY.touch()


def _has_outputs(unit: int) -> bool:
    """Return whether a download has more than the log: files, or a line of a map's results."""
    result = read_unit_result(unit)
    return result is None or bool(result.outputs) or "input" in result.render


def _wait_for_download(timeout_s: int, code: int, *, has_outputs: bool) -> int:
    """Hold the outputs until a client has downloaded or refused them: files of a pod that has ended cannot be read."""
    while not RELEASED.exists():
        if time.time() - CONTACT.stat().st_mtime > timeout_s:
            if not has_outputs:  # nothing is lost
                return code
            write_report(
                Problem(
                    message=f"no client downloaded the outputs within {timeout_s} s",
                    hint="keep `renderer submit` running, raise --collect-timeout, or submit with --store",
                )
            )
            return code or ExitCode.OUTPUT
        time.sleep(POLL_INTERVAL_S)
    if refusal := RELEASED.read_text("utf-8", "replace"):
        write_report(Problem(message=f"the outputs were refused: {refusal}"))
        return code or ExitCode.OUTPUT
    return code


def _remove(path: Path) -> None:
    """Remove whatever the scene has put there: a link, a pipe, a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
