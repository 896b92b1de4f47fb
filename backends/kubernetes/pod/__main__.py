"""The commands that run in the containers of a job and of transfer pods: ``python -I -m backends.kubernetes.pod``.

``run`` is the command of a job's container. While it waits, the client runs ``send`` and ``release`` in the same pod to
download outputs. ``hold`` keeps a transfer pod alive, in which the client runs ``send``, ``receive`` and ``remove``.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from backends import debug_log
from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes.pod import run, transfers
from backends.kubernetes.pod.report import write_report
from backends.problem import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands and return its exit code."""
    options = _build_parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_on_signal)
    try:
        debug_log.configure(debug_log.level_from_environment())
        return int(options.command(options))
    except RendererError as error:
        write_report(Problem(message=str(error), hint=error.hint))
        return error.exit_code


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backends.kubernetes.pod")
    commands = parser.add_subparsers(required=True)
    run_parser = commands.add_parser("run", help="render this pod's unit")
    run_parser.set_defaults(command=lambda options: run.run(options.store, options.collect))
    run_parser.add_argument("--store", help="URI of the job's folder in its store")
    run_parser.add_argument("--collect", type=int, default=0, help="without a store: seconds to wait for a download")
    send = commands.add_parser("send", help="write a stream of outputs to stdout")
    send.set_defaults(command=lambda options: transfers.send(options.offset, options.folder))
    send.add_argument("offset", type=int, help="first byte to send")
    send.add_argument("folder", nargs="?", help="folder of the PVC; by default this unit's outputs")
    release = commands.add_parser("release", help="let `run` end: the outputs are downloaded")
    release.set_defaults(command=lambda _: transfers.release())
    hold = commands.add_parser("hold", help="do nothing until the pod is deleted")
    hold.set_defaults(command=lambda _: transfers.hold())
    receive = commands.add_parser("receive", help="write stdin to a file of the PVC")
    receive.set_defaults(command=lambda options: transfers.receive(options.path, options.size))
    receive.add_argument("path")
    receive.add_argument("size", type=int)
    remove = commands.add_parser("remove", help="remove a folder of the PVC")
    remove.set_defaults(command=lambda options: transfers.remove(options.folder))
    remove.add_argument("folder")
    return parser


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's arguments
    raise SystemExit(ExitCode.TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
