"""What runs in the pod: brings the inputs, runs the worker on this completion's unit, stores or hands out the outputs.

``run`` is the container's command. ``send`` and ``release`` are run beside it by a client that collects the outputs;
``hold`` keeps a helper pod alive whose claim the client reads or writes with ``send`` and ``receive``.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.transfer import stream
from backends.processes import oom_kills
from backends.storage import Storage
from backends.worker_protocol import RESULT, UnitResult, worker_command

INPUTS, WORK, STORE = Path(names.INPUTS), Path(names.WORK), Path(names.STORE)
OUTPUT = WORK / names.UNITS
READY, RELEASED, CONTACT = Path(names.READY), WORK / "released", WORK / "contact"
TERMINATION_MESSAGE = Path("/dev/termination-log")
MESSAGE_LIMIT = 3500  # Kubernetes keeps 4096 bytes of it
POLL_S = 0.05
SILENCE_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; give the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _terminated)
    try:
        return int(options.command(options))
    except RendererError as error:
        _say(str(error), error.hint)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backends.kubernetes.pod")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.set_defaults(command=_run)
    run.add_argument("--store")
    run.add_argument("--collect", type=int, default=0)
    send = commands.add_parser("send")
    send.set_defaults(command=_send)
    send.add_argument("offset", type=int)
    send.add_argument("folder", nargs="?")
    commands.add_parser("release").set_defaults(command=lambda _: _touch(RELEASED))
    commands.add_parser("hold").set_defaults(command=_hold)
    receive = commands.add_parser("receive")
    receive.set_defaults(command=_receive)
    receive.add_argument("path")
    receive.add_argument("size", type=int)
    remove = commands.add_parser("remove")
    remove.set_defaults(command=_remove)
    remove.add_argument("folder")
    return parser


def _terminated(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the shape of a signal handler
    raise SystemExit(ExitCode.TERMINATED)


def _run(options: argparse.Namespace) -> int:
    unit = int(os.environ["JOB_COMPLETION_INDEX"])
    mine, childs = _split_environment()
    store = Storage(options.store, mine) if options.store else None
    bundle = INPUTS / names.BUNDLE_KEY
    if store:
        bundle = WORK / names.BUNDLE_KEY
        store.get(names.BUNDLE_KEY, bundle)
        _restore(store, unit)
    code = _work(bundle, unit, childs)
    _explain(unit)
    if store:
        _store_outputs(store, unit)
        return code
    if not (OUTPUT / str(unit) / RESULT).exists():
        return code  # the worker was killed: there is nothing to collect
    return _wait_for_collector(unit, options.collect, code)


def _split_environment() -> tuple[dict[str, str], dict[str, str]]:
    """Keep the store's credentials from the render, which is other people's code: nor may it read our memory."""
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/1/environ becomes root's
    prefix = names.STORE_ENV_PREFIX
    secrets = {key.removeprefix(prefix): value for key, value in os.environ.items() if key.startswith(prefix)}
    childs = {key: value for key, value in os.environ.items() if not key.startswith(prefix)}
    return {**childs, **secrets}, childs


def _restore(store: Storage, unit: int) -> None:
    """Bring back what an earlier try stored in full: the worker does not render it again."""
    if store.size(f"{names.UNITS}/{unit}/{RESULT}") is not None:
        for path in store.list(f"{names.UNITS}/{unit}"):
            store.get(path, WORK / path)


def _work(bundle: Path, unit: int, environment: dict[str, str]) -> int:
    command = worker_command(
        sys.executable, task=str(INPUTS / names.TASK_KEY), bundle=str(bundle), output=str(OUTPUT), units=[unit]
    )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    kills = oom_kills()
    with subprocess.Popen(command, env=environment, start_new_session=True) as worker:
        try:
            code = worker.wait()
        except SystemExit:
            worker.terminate()
            worker.wait()
            raise
    if code == -signal.SIGKILL and oom_kills() > kills:
        return ExitCode.OUT_OF_MEMORY
    return 128 - code if code < 0 else code


def _explain(unit: int) -> None:
    """Leave the unit's own words where ``kubectl describe`` and ``renderer status`` find them."""
    result = UnitResult.read(OUTPUT / str(unit) / RESULT)
    if result and result.error:
        _say(result.error.message, result.error.hint, result.error.details)


def _say(message: str, hint: str | None, details: str | None = None) -> None:
    words = {"message": message[:1000], "hint": hint, "details": (details or "")[-1500:] or None}
    sys.stdout.write(f"openjd_fail: {message}\n")
    sys.stdout.flush()
    with contextlib.suppress(OSError):
        TERMINATION_MESSAGE.write_bytes(json.dumps(words).encode()[:MESSAGE_LIMIT])


def _store_outputs(store: Storage, unit: int) -> None:
    """Store the unit's files, result.json last: where it is, everything is."""
    folder = OUTPUT / str(unit)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    for path in sorted(files, key=lambda path: (path == folder / RESULT, path)):
        store.put(path.relative_to(WORK).as_posix(), path)


def _wait_for_collector(unit: int, seconds: int, code: int) -> int:
    """Hold the outputs until somebody has them: a pod that has ended can no longer be asked for files."""
    (WORK / "header").write_bytes(stream.header(OUTPUT / str(unit)))
    _touch(CONTACT)
    _touch(READY)
    while not RELEASED.exists():
        if time.time() - CONTACT.stat().st_mtime > seconds:
            _say(
                f"nobody collected the outputs within {seconds} s",
                "submit again with --store, or stay attached; --collect-timeout waits longer",
            )
            return code or ExitCode.OUTPUT
        time.sleep(POLL_S)
    return code


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Write an empty line to stderr now and then, lest the client takes a long silence for a lost connection."""
    done = threading.Event()

    def speak() -> None:
        while not done.wait(SILENCE_S):
            sys.stderr.write("\n")
            sys.stderr.flush()

    threading.Thread(target=speak, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _send(options: argparse.Namespace) -> int:
    """Write the outputs to stdout from a byte on; of a folder of the claim when one is named."""
    if not options.folder:
        _touch(CONTACT)
        if not (WORK / "header").exists():  # a kubelet that was just started calls every pod ready for a moment
            return names.NOT_YET
    folder = STORE / options.folder if options.folder else OUTPUT / os.environ["JOB_COMPLETION_INDEX"]
    with _heard():
        head = stream.header(folder) if options.folder else (WORK / "header").read_bytes()
    for part in stream.send(folder, head, options.offset):
        sys.stdout.buffer.write(part)
        if not options.folder:
            _touch(CONTACT)
    sys.stdout.buffer.flush()
    return 0


def _receive(options: argparse.Namespace) -> int:
    """Write stdin to a file of the claim, whole or not at all."""
    target = STORE / options.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    left = options.size
    with partial.open("wb") as file:
        while left > 0 and (part := os.read(0, min(left, stream.CHUNK))):
            file.write(part)
            left -= len(part)
    if left:
        return ExitCode.INPUT
    partial.replace(target)
    return 0


def _remove(options: argparse.Namespace) -> int:
    with _heard():
        Storage(f"file://{STORE}").delete(options.folder)
    return 0


def _hold(_: argparse.Namespace) -> int:
    while True:
        signal.pause()


def _touch(path: Path) -> int:
    path.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
