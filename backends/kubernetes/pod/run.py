"""Renders one unit in a job's pod: gets the inputs, runs the worker, stores the outputs or waits for their download."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from backends import output_stream as stream
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod.paths import CONTACT, HEADER, INPUTS, OUTPUT, READY, RELEASED, WORK
from backends.kubernetes.pod.report import write_report
from backends.problem import Problem
from backends.processes import oom_kills
from backends.storage import Storage
from backends.worker_protocol import RESULT, UnitResult, worker_command

_log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.05
OOM_SCORE_MARGIN = 100  # tenths of a percent of the memory limit
_PR_SET_DUMPABLE = 4  # prctl(2)


def run(store_uri: str | None, collect_timeout_s: int) -> int:
    """Render the unit of this pod's completion index and return the exit code.

    With ``store_uri``, inputs and outputs are in a store. Otherwise the pod waits for a client to download the outputs,
    at most ``collect_timeout_s`` seconds since the client's last sign of life.
    """
    unit = int(os.environ["JOB_COMPLETION_INDEX"])
    own, workers = _split_environment()
    store = Storage(store_uri, own) if store_uri else None
    bundle = INPUTS / names.BUNDLE_KEY
    if store:
        bundle = WORK / names.BUNDLE_KEY
        store.get(names.BUNDLE_KEY, bundle)
        _log.debug("downloaded the bundle, %d bytes", bundle.stat().st_size)
        _restore_outputs(store, unit)
    code = _run_worker(bundle, unit, workers)
    if store:
        _store_outputs(store, unit)
        return code
    if not (OUTPUT / str(unit) / RESULT).exists():
        return code  # the worker was killed: it did not leave outputs
    return _wait_for_download(unit, collect_timeout_s, code)


def _split_environment() -> tuple[dict[str, str], dict[str, str]]:
    """Return the environments of this process and of the worker, which runs untrusted code.

    The worker does not get the store's credentials, and cannot read them from this process either.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # /proc/1/environ now belongs to root
    prefix = names.STORE_ENV_PREFIX
    credentials = {key.removeprefix(prefix): value for key, value in os.environ.items() if key.startswith(prefix)}
    workers = {key: value for key, value in os.environ.items() if not key.startswith(prefix)}
    return {**workers, **credentials}, workers


def _restore_outputs(store: Storage, unit: int) -> None:
    """Download the outputs that an earlier attempt has stored completely: the worker does not render them again."""
    if store.size(f"{names.UNITS}/{unit}/{RESULT}") is not None:
        for path in store.list(f"{names.UNITS}/{unit}"):
            store.get(path, WORK / path)


def _run_worker(bundle: Path, unit: int, environment: dict[str, str]) -> int:
    command = worker_command(
        sys.executable, task=str(INPUTS / names.TASK_KEY), bundle=str(bundle), output=str(OUTPUT), units=[unit]
    )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    kills_before = oom_kills()
    with subprocess.Popen(command, env=environment, start_new_session=True) as worker:
        _raise_oom_score(worker.pid)
        try:
            code = worker.wait()
        except SystemExit:
            worker.terminate()
            worker.wait()
            raise
    _report_result(unit)
    if code == -signal.SIGKILL and oom_kills() > kills_before:
        return ExitCode.OUT_OF_MEMORY
    return 128 - code if code < 0 else code


def _raise_oom_score(worker: int) -> None:
    """Make the kernel kill the worker before this process when the container's memory runs out.

    The kernel often kills more than one process, because the memory of the first one is not free at once. This process
    must survive: it reports why the worker ended, which the container runtime may miss.
    """
    own = int(Path("/proc/self/oom_score_adj").read_text())
    with contextlib.suppress(OSError):  # the worker has ended already
        Path(f"/proc/{worker}/oom_score_adj").write_text(str(min(own + OOM_SCORE_MARGIN, 1000)))


def _report_result(unit: int) -> None:
    """Report the problem of the unit's result, if there is one."""
    result = UnitResult.read(OUTPUT / str(unit) / RESULT)
    if result and result.error:
        error = result.error
        write_report(Problem(message=error.message, hint=error.hint, details=error.details))


def _store_outputs(store: Storage, unit: int) -> None:
    """Store the unit's files. The last one is result.json: if it is there, everything else is, too."""
    folder = OUTPUT / str(unit)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda path: (path == folder / RESULT, path)):
        store.put(path.relative_to(WORK).as_posix(), path)
        _log.debug("uploaded %s, %d bytes", path.relative_to(folder), path.stat().st_size)


def _wait_for_download(unit: int, timeout_s: int, code: int) -> int:
    """Wait until a client has downloaded the outputs: the files of a pod that has ended cannot be read."""
    HEADER.write_bytes(stream.build_header(OUTPUT / str(unit)))
    CONTACT.touch()
    READY.touch()
    while not RELEASED.exists():
        if time.time() - CONTACT.stat().st_mtime > timeout_s:
            write_report(
                Problem(
                    message=f"no client downloaded the outputs within {timeout_s} s",
                    hint="keep `renderer submit` running, raise --collect-timeout, or submit with --store",
                )
            )
            return code or ExitCode.OUTPUT
        time.sleep(POLL_INTERVAL_S)
    return code
