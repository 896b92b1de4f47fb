"""The function that Modal runs: one unit of a job, by the worker, as a child process.

Modal mounts this one file into the container, so it imports nothing of ours. Everything is safe to run again on the
same input: Modal does so when it takes a machine away.
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
from typing import Any

import modal

GRACE_S = 2.0  # the worker ends its children within one
OUT_OF_MEMORY, INPUT, LOST, CANCELLED = 13, 14, 16, 17  # of backends.exit_codes
MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def render(job: dict[str, Any]) -> dict[str, Any]:
    """Render unit ``job["unit"]`` onto the volume and tell how it ended. Raises what Modal shall try again."""
    try:
        return _render(job)
    except modal.exception.Error as error:  # at the client its class would say that the way to Modal is broken
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _render(job: dict[str, Any]) -> dict[str, Any]:
    call = modal.current_function_call_id() or ""
    volume = modal.Volume.from_name(job["volume"])
    try:
        volume.reload()  # a warm container does not see what was uploaded since it started
    except modal.exception.NotFoundError:
        return _not_run(
            INPUT, f"the Modal volume {job['volume']!r} with the inputs was removed", "submit the job again"
        )
    if Path(job["mount"], "withdrawn", job["ticket"]).exists():
        return _not_run(CANCELLED, "it was withdrawn, for the submit got no answer", None)
    folder = Path(job["mount"], "jobs", call)
    unit = folder / str(job["unit"])
    unit.mkdir(parents=True, exist_ok=True)
    attempt = _count_try(folder / "tries" / str(job["unit"]))
    if "record" in job:
        (folder / "job.json").write_text(json.dumps(job["record"]))
    started, oom_kills = time.monotonic(), _oom_kills()
    try:
        code, said = _run(job, [part.replace("{call}", call) for part in job["command"]])
    finally:
        (folder / "ended").mkdir(exist_ok=True)
        (folder / "ended" / str(job["unit"])).touch()
        volume.commit()
    ended = {**_outcome(unit / "result.json", code, said), "attempt": attempt}
    if ended["exit_code"] == LOST and _oom_kills() > oom_kills:
        ended |= {"exit_code": OUT_OF_MEMORY, "message": "the memory ran out: the kernel ended the worker"}
    if ended["exit_code"] in job["retried"]:
        raise RuntimeError(f"renderer: try {attempt} ended with exit code {ended['exit_code']}: {ended['message']}")
    return {**ended, "seconds": round(time.monotonic() - started, 3)}


def _not_run(code: int, message: str, hint: str | None) -> dict[str, Any]:
    return {"exit_code": code, "message": message, "hint": hint, "details": None, "attempt": 1, "seconds": 0.0}


def _count_try(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as tries:
        tries.write("x")
        return tries.tell()


def _run(job: dict[str, Any], command: list[str]) -> tuple[int, str]:
    """Run the worker; give its exit code and its last openjd_fail line. Whatever stops us stops all of it."""
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
        _end(worker)


def _end(worker: subprocess.Popen[str]) -> None:
    """Ask the worker to stop, then kill what is left of its process group."""
    with suppress(ProcessLookupError):
        if worker.poll() is None:
            worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                worker.wait(GRACE_S)
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _outcome(path: Path, code: int, said: str) -> dict[str, Any]:
    """Read result.json, the worker's last word; without one of this try tell how the worker itself ended."""
    with suppress(OSError, ValueError):
        result = json.loads(path.read_bytes())
        if result["exit_code"] == code:
            error = result["error"] or {"message": None, "hint": None, "details": None}
            return {"exit_code": code, **error}
    how = said or (f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}")
    return {"exit_code": code if code >= 0 else LOST, "message": how, "hint": None, "details": None}


def _oom_kills() -> int:
    """Count the processes of this container that the kernel ended for memory; 0 where that cannot be read."""
    for path in MEMORY_EVENTS:
        with suppress(OSError):
            counts = dict(line.split() for line in Path(path).read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0
