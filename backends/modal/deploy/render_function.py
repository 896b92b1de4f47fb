"""The function that Modal runs for each unit of a job: it starts the worker as a child process.

Modal mounts only this file into the container, so it imports nothing else of this project. Modal may stop it at any
point and run it again with the same input, on another machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NotRequired, TypedDict

import modal

WORKER_END_TIMEOUT_S = 2.0  # the worker ends its own children within one second
OUT_OF_MEMORY, INPUT, LOST, CANCELLED = 13, 14, 16, 17  # of backends.exit_codes
MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class UnitInput(TypedDict):
    """What submit sends for one unit. ``{call}`` in the command stands for the call's id."""

    unit: int
    command: list[str]
    env: dict[str, str]
    retried: list[int]  # exit codes after which Modal shall try again
    volume: str
    mount: str
    ticket: str
    record: NotRequired[str]  # the content of job.json, with the first unit


class UnitEnd(TypedDict):
    """How the worker ended."""

    exit_code: int
    message: str | None
    hint: str | None
    details: str | None


class UnitOutput(UnitEnd):
    """What the function returns."""

    attempt: int
    seconds: float


def render(job: UnitInput) -> UnitOutput:
    """Render unit ``job["unit"]``, store its files on the volume, and return how it ended.

    Raises RuntimeError if Modal shall retry the unit.
    """
    try:
        return _render(job)
    except modal.exception.Error as error:  # the client would take its class for a failure of its own connection
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _render(job: UnitInput) -> UnitOutput:
    call = modal.current_function_call_id() or ""
    volume = modal.Volume.from_name(job["volume"])
    try:
        volume.reload()  # a container that has been running does not see what was uploaded since
    except modal.exception.NotFoundError:
        message = f"the Modal volume {job['volume']!r} with the inputs was removed"
        return _not_run(INPUT, message, "submit the job again")
    if Path(job["mount"], "withdrawn", job["ticket"]).exists():
        return _not_run(CANCELLED, "the job was cancelled, because submit got no answer from Modal", None)
    folder = Path(job["mount"], "jobs", call)
    unit = folder / str(job["unit"])
    unit.mkdir(parents=True, exist_ok=True)
    attempt = _count_attempt(folder / "attempts" / str(job["unit"]))
    if "record" in job:
        (folder / "job.json").write_text(job["record"], "utf-8")
    started, oom_kills = time.monotonic(), _count_oom_kills()
    try:
        code, said = _run_worker(job, [part.replace("{call}", call) for part in job["command"]])
    finally:
        (folder / "ended").mkdir(exist_ok=True)
        (folder / "ended" / str(job["unit"])).touch()
        volume.commit()
    end = _read_end(unit / "result.json", code, said)
    if end["exit_code"] == LOST and _count_oom_kills() > oom_kills:
        end |= {"exit_code": OUT_OF_MEMORY, "message": "the memory ran out: the kernel ended the worker"}
    if end["exit_code"] in job["retried"]:
        raise RuntimeError(f"renderer: attempt {attempt} ended with exit code {end['exit_code']}: {end['message']}")
    return {**end, "attempt": attempt, "seconds": round(time.monotonic() - started, 3)}


def _not_run(code: int, message: str, hint: str | None) -> UnitOutput:
    return {"exit_code": code, "message": message, "hint": hint, "details": None, "attempt": 1, "seconds": 0.0}


def _count_attempt(path: Path) -> int:
    """Count one more attempt: add one byte to the file, and return how many bytes it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as attempts:
        attempts.write("x")
        return attempts.tell()


def _run_worker(job: UnitInput, command: list[str]) -> tuple[int, str]:
    """Run the worker; return its exit code and its last openjd_fail message. The worker ends with this function."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MODAL_", "PYTHONPATH"))}
    worker = subprocess.Popen(
        command,
        env={**environment, **job["env"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    said = ""
    try:
        for line in worker.stdout or ():
            sys.stdout.write(f"{job['unit']}| {line.rstrip(chr(10))}\n")
            sys.stdout.flush()
            if line.startswith("openjd_fail: "):
                said = line.removeprefix("openjd_fail: ").strip()
        return worker.wait(), said
    finally:
        _end_worker(worker)


def _end_worker(worker: subprocess.Popen[str]) -> None:
    """Ask the worker to stop, then kill what is left of its process group."""
    with suppress(ProcessLookupError):
        if worker.poll() is None:
            worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                worker.wait(WORKER_END_TIMEOUT_S)
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _read_end(path: Path, code: int, said: str) -> UnitEnd:
    """Return how the unit ended, from this attempt's result.json or else from the end of the worker's process."""
    with suppress(OSError, ValueError):
        result = json.loads(path.read_bytes())
        if result["exit_code"] == code:
            error = result["error"] or {}
            return {
                "exit_code": code,
                "message": error.get("message"),
                "hint": error.get("hint"),
                "details": error.get("details"),
            }
    how = said or (f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}")
    return {"exit_code": code if code >= 0 else LOST, "message": how, "hint": None, "details": None}


def _count_oom_kills() -> int:
    """Return how many processes of this container the kernel killed because memory ran out; 0 if not known."""
    for path in MEMORY_EVENTS:
        with suppress(OSError):
            counts = dict(line.split() for line in Path(path).read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0
