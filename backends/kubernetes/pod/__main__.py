"""The commands that run in the containers of jobs and of transfer pods: ``sh renderer-worker backends.kubernetes.pod``.

``run`` is the command of a job's container, ``store`` that of the container that alone has the job's store, and
``packages`` that of a container that ends before the job begins. The client calls ``send`` and ``release`` beside
``run``, to download outputs. In a transfer pod, which sleeps, it calls ``send``, ``receive``, ``remove`` and
``expire`` for files of a PVC.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from backends import debug_log
from backends.errors import BackendError, RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod import run, store, transfers
from backends.kubernetes.pod.network import find_targets, wait_until_closed
from backends.kubernetes.pod.packages import prepare_packages
from backends.kubernetes.pod.paths import scratch_limits
from backends.kubernetes.pod.process_limits import limit_processes
from backends.kubernetes.pod.report import write_report
from backends.kubernetes.pod.units import PodUnits
from backends.problem import Problem

NETWORK_TIMEOUT_S = 30.0  # how long a cluster may take to apply its policies to a pod


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
    parser = argparse.ArgumentParser(prog="sh renderer-worker backends.kubernetes.pod")
    commands = parser.add_subparsers(required=True)
    run_parser = commands.add_parser("run", help="render this pod's unit")
    run_parser.set_defaults(command=_run)
    run_parser.add_argument("--stored", action="store_true", help="the store's container moves inputs and outputs")
    run_parser.add_argument("--collect", type=int, default=0, help="without a store: seconds to wait for a download")
    run_parser.add_argument("--timeout", type=int, required=True, help="time limit of the render in seconds")
    run_parser.add_argument("--limit", type=int, required=True, help="size of the pod's scratch disk in MiB")
    run_parser.add_argument("--one-by-one", action="store_true", help="run the pod's units one after the other")
    run_parser.add_argument(
        "--untrusted", action="store_true", help="wait for a closed network, and limit the processes"
    )
    store_parser = commands.add_parser("store", help="move this unit's inputs and outputs from and to the store")
    store_parser.set_defaults(
        command=lambda options: store.keep_store(
            options.uri,
            options.limit,
            _pod_units(options),
            options.cache,
            has_chunks=options.chunks,
            packages=options.packages,
        )
    )
    store_parser.add_argument("uri", help="the job's folder in its store")
    store_parser.add_argument("limit", type=int, help="size of the pod's scratch disk in MiB")
    store_parser.add_argument("--cache", help="the shared cache, of which the render asks at a socket")
    store_parser.add_argument("--chunks", action="store_true", help="let the render exchange chunks with other shards")
    store_parser.add_argument(
        "--packages", nargs=2, metavar=("URI", "DIGEST"), help="the folder of packages, and what the job asks for"
    )
    packages = commands.add_parser("packages", help="install the job's packages before it starts")
    packages.set_defaults(command=lambda options: prepare_packages(options.limit))
    packages.add_argument("limit", type=int, help="size of the pod's scratch disk in MiB")
    for each in (run_parser, store_parser):
        each.add_argument("--units-per-pod", type=int, default=1, help="how many units each pod of the job has")
        each.add_argument("--units", type=int, default=1, help="how many units the job has")
    send = commands.add_parser("send", help="write a stream of outputs to stdout")
    send.set_defaults(command=lambda options: transfers.send(options.offset, options.folder))
    send.add_argument("offset", type=int, help="first byte to send")
    send.add_argument("folder", nargs="?", help="folder of the PVC; by default this unit's outputs")
    release = commands.add_parser("release", help="let `run` end: the outputs are downloaded, or refused")
    release.set_defaults(command=lambda options: transfers.release(options.refusal))
    release.add_argument("--refusal", default="", help="why the client does not take the outputs")
    receive = commands.add_parser("receive", help="write stdin to a file of the PVC")
    receive.set_defaults(command=lambda options: transfers.receive(options.path, options.size))
    receive.add_argument("path")
    receive.add_argument("size", type=int)
    remove = commands.add_parser("remove", help="remove a folder of the PVC")
    remove.set_defaults(command=lambda options: transfers.remove(options.folder))
    remove.add_argument("folder")
    expire = commands.add_parser("expire", help="remove old files of a folder of the PVC, and list them")
    expire.set_defaults(command=lambda options: transfers.expire(options.folder, options.age, dry_run=options.dry_run))
    expire.add_argument("folder")
    expire.add_argument("age", type=float, help="seconds since they were stored")
    expire.add_argument("--dry-run", action="store_true", help="remove nothing")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.untrusted:
        _require_closed_network()
        limit_processes(options.limit)
    return run.run(
        _pod_units(options),
        stored=options.stored,
        collect_timeout_s=options.collect,
        timeout_s=options.timeout,
        limits=scratch_limits(options.limit),
    )


def _require_closed_network() -> None:
    """Raise BackendError if this pod still has a network when the cluster's policies should have closed it."""
    addresses = os.environ.pop(names.NODE_ADDRESSES, "").split(",")
    if reached := wait_until_closed(find_targets(filter(None, addresses)), NETWORK_TIMEOUT_S):
        raise BackendError(
            f"the untrusted job did not run: after {NETWORK_TIMEOUT_S:.0f} s its pod reached {', '.join(reached)}",
            hint="a NetworkPolicy or the network plugin has changed; `renderer doctor` tries them again",
        )


def _pod_units(options: argparse.Namespace) -> PodUnits:
    return PodUnits(options.units_per_pod, options.units, getattr(options, "one_by_one", False))


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's arguments
    raise SystemExit(ExitCode.TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
