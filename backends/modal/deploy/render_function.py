"""The function that Modal runs for each unit of a job: it starts the worker as a child process.

Modal mounts only this file into the container, so it imports nothing else of this project. Modal may stop it at any
point and run it again with the same input, on another machine. Each attempt has a container of its own, which cannot
use Modal's API. The result is JSON, so that the client never has to unpickle anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import modal

WORKER_END_TIMEOUT_S = 2.0  # the worker ends its own children within one second
OUT_OF_MEMORY, INPUT, LOST, CANCELLED = 13, 14, 16, 17  # of backends.exit_codes
MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
ANSWER_BYTES = 6000  # larger answers would not travel inline; the whole error is in result.json
TEXTS = ("message", "hint", "details")
RETRY = "renderer: "  # what the text of an exception begins with; the answer follows


class UnitInput(TypedDict):
    """What submit sends for one unit. ``{inputs}`` in the command stands for the folder with the verified inputs.

    ``mark`` is the name of its files in ``attempts``, ``ended`` and ``failed``.
    """

    unit: int
    mark: str
    command: list[str]
    env: dict[str, str]
    retried: list[int]  # exit codes after which Modal shall try again
    inputs: dict[str, str]  # the SHA-256 of each input
    inputs_mount: str
    outputs_mount: str
    volume: str  # the id of the volume for the outputs
    max_failed: int | None  # when more units have failed, no other starts


class UnitEnd(TypedDict):
    """How the worker ended."""

    exit_code: int
    message: str | None
    hint: str | None
    details: str | None


class UnitOutput(UnitEnd):
    """What the function returns, as JSON."""

    attempt: int
    seconds: float


class RetryError(Exception):
    """The unit ended in a way that Modal shall retry. Modal sends the ``repr`` of this error to the client."""

    def __repr__(self) -> str:
        return RETRY + str(self)


def render(job: UnitInput) -> str:
    """Render unit ``job["unit"]``, store its files on the volume, and return how it ended, as JSON.

    Raises RetryError if Modal shall retry the unit.
    """
    output = _render(job)
    if output["exit_code"] in job["retried"]:
        raise RetryError(_encode(output))
    return _encode(output)


def _render(job: UnitInput) -> UnitOutput:
    mount = Path(job["inputs_mount"])
    if (mount / "withdrawn").exists():
        return _not_run(CANCELLED, "the job was cancelled, because submit got no answer from Modal")
    if job["max_failed"] is not None and _count_failed(job) > job["max_failed"]:
        message = f"it did not run: more others failed than the {job['max_failed']} that --max-failed allows"
        return _not_run(CANCELLED, message)
    with tempfile.TemporaryDirectory(prefix="renderer-inputs-") as inputs:
        for name, digest in job["inputs"].items():
            try:
                _copy_verified(mount / name, Path(inputs, name), digest)
            except (OSError, ValueError) as error:
                return _not_run(INPUT, f"the inputs on the Modal volume are gone or damaged: {error}")
        return _render_unit(job, [part.replace("{inputs}", inputs) for part in job["command"]])


def _copy_verified(source: Path, target: Path, digest: str) -> None:
    """Copy an input to where the worker reads it. Raises ValueError if it is not what submit sent."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError(f"{source.name} is not what was uploaded")


def _render_unit(job: UnitInput, command: list[str]) -> UnitOutput:
    folder, name = Path(job["outputs_mount"]), str(job["unit"])
    (folder / name).mkdir(parents=True, exist_ok=True)
    attempt = _count_attempt(folder / "attempts" / job["mark"])
    code = LOST
    started, oom_kills = time.monotonic(), _count_oom_kills()
    try:
        code, said = _run_worker(job, command)
    finally:
        (folder / "ended").mkdir(exist_ok=True)
        (folder / "ended" / job["mark"]).touch()
        if code > 0 and code not in job["retried"]:
            (folder / "failed").mkdir(exist_ok=True)
            (folder / "failed" / job["mark"]).touch()
        _commit(job["volume"])
    end = _read_end(folder / name / "result.json", code, said)
    if end["exit_code"] == LOST and _count_oom_kills() > oom_kills:
        end |= {"exit_code": OUT_OF_MEMORY, "message": "the memory ran out: the kernel ended the worker"}
    return {**end, "attempt": attempt, "seconds": round(time.monotonic() - started, 3)}


def _count_failed(job: UnitInput) -> int:
    """Return how many units have failed for good, as far as this container can see."""
    with suppress(OSError):
        return sum(1 for _ in Path(job["outputs_mount"], "failed").iterdir())
    return 0


def _commit(volume: str) -> None:
    """Store the outputs on the volume now. If Modal refuses that, it stores them itself when the container ends."""
    os.sync()
    with suppress(modal.exception.Error, RuntimeError):
        modal.Volume.from_id(volume).commit()


def _encode(output: UnitOutput) -> str:
    """Return the answer as JSON, its texts shortened until it is small."""
    content: dict[str, object] = {**output}
    while len(text := json.dumps(content)) > ANSWER_BYTES:
        longest = max(TEXTS, key=lambda key: len(str(content[key])))
        said = str(content[longest])
        content[longest] = said[: len(said) // 2] + "…"
    return text


def _not_run(code: int, message: str) -> UnitOutput:
    return {"exit_code": code, "message": message, "hint": None, "details": None, "attempt": 1, "seconds": 0.0}


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
