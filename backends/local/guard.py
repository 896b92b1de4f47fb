"""The guard of an untrusted job: runs the worker in the sandbox, and copies what it makes into the job's folder.

``python -I -m backends.local.guard FOLDER LIMITS WORKER…``, where FOLDER/scratch is a tmpfs that nobody else sees. The
worker writes there; the job's folder itself is not in the sandbox. All limits are kept from here, outside the worker's
process namespace, where it can neither stop nor see this process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from backends.errors import InputError, OutputError, ResultError
from backends.exit_codes import ExitCode
from backends.local.control_group import GroupLimits, create_groups
from backends.local.folder import JobFolder, damaged_result
from backends.local.sandbox import SandboxLimits, Scratch, make_command, make_environment, make_options
from backends.local.seccomp import build_filter
from backends.processes import die_with_parent
from backends.untrusted import OutputCounter, create_beneath, open_beneath, parse_result, read_bounded
from backends.untrusted.trees import remove_tree
from backends.worker_protocol import ENDED, FILES, LOG, REPORT, RESULT, STARTED

POLL_INTERVAL_S = 0.1
END_TIMEOUT_S = 5.0
GRACE_S = 15.0  # beyond the units' own time limits, which the worker keeps: Python and Manim start in it
PRINTED_BYTES = 2**20  # how much of the worker's own output is kept
READ_BYTES = 2**16
CHUNK = 2**20
FIRST_ERROR_CODE = 125  # of setpriv, prlimit and shells; 128 and a signal's number after that


def main() -> int:
    """Run the worker that the arguments name; return its exit code."""
    folder, limits = JobFolder(Path(sys.argv[1])), SandboxLimits.from_json(sys.argv[2])
    try:
        Scratch(folder).create()
        return Guard(folder, limits).run([word for word in sys.argv[3:] if word != REPORT])
    except (OutputError, InputError) as error:
        _fail(f"{error}")
        return error.exit_code
    except OSError as error:
        _fail(f"the sandbox does not start: {error}")
        return ExitCode.BACKEND


class Guard:
    """One run of the worker."""

    def __init__(self, folder: JobFolder, limits: SandboxLimits) -> None:
        self.folder = folder
        self.record = folder.read_record()
        self.outputs = Scratch(folder).units
        self.counter = OutputCounter(limits.outputs)
        self.limits = limits
        self.log_sizes = dict.fromkeys(range(len(self.record.units)), 0)
        self.copied: set[int] = set()

    def run(self, worker: list[str]) -> int:
        """Run the worker until it ends or its time is over; return its exit code."""
        process = self._start(worker)
        deadline = time.monotonic() + self.record.timeout * len(self.record.units) + GRACE_S
        try:
            printer = _Printer(process)
            copied = 0.0
            while printer.copy() and time.monotonic() < deadline:
                if time.monotonic() - copied > POLL_INTERVAL_S:
                    self._copy_units()
                    copied = time.monotonic()
            timed_out = time.monotonic() >= deadline
        finally:
            process.kill()  # and with it, all processes of the sandbox
        printer.wait_for_end()
        code = process.wait()
        self._copy_units()
        if timed_out:
            seconds = self.record.timeout * len(self.record.units)
            _fail(f"the job took longer than its time limit of {seconds:g} s")
            return ExitCode.TIMEOUT
        return self._translate_code(code)

    def _start(self, worker: list[str]) -> subprocess.Popen[bytes]:
        group = GroupLimits(processes=self.limits.processes, memory_mib=self.limits.memory_mib)
        files = [] if os.getuid() else create_groups(self.folder.id, group)
        limits = replace(self.limits, grouped=self.limits.grouped or bool(files))
        parent = os.getpid()

        def prepare() -> None:
            die_with_parent(parent)
            for file in files:
                file.write_text(str(os.getpid()))

        seccomp = _open_pipe(build_filter() or b"")
        options = _open_pipe("\0".join(make_options(self.folder, seccomp)).encode())
        try:
            return subprocess.Popen(
                make_command(limits, options, worker),
                env=make_environment(json.loads(self.folder.environment.read_bytes())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[seccomp, options],
                preexec_fn=prepare,  # noqa: PLW1509  # there is one thread
            )
        finally:
            os.close(seccomp)
            os.close(options)

    def _translate_code(self, code: int) -> int:
        """Return the worker's exit code, or that of a lost worker where a signal ended it."""
        if 0 <= code < FIRST_ERROR_CODE or code == ExitCode.TERMINATED:
            return code
        _fail(f"the worker was ended in its sandbox (exit code {code})")
        return ExitCode.LOST

    def _copy_units(self) -> None:
        """Copy new log lines, and the outputs of units that have written their result."""
        for unit in self.log_sizes:
            self._copy_log(unit)
            if unit not in self.copied:
                with suppress(FileNotFoundError):
                    self._copy_outputs(unit)
                    self.copied.add(unit)

    def _copy_log(self, unit: int) -> None:
        size = self.log_sizes[unit]
        try:
            source = open_beneath(self.outputs, f"{unit}/{LOG}")
        except FileNotFoundError:
            return
        with source:
            source.seek(size)
            data = source.read(min(CHUNK, max(self.limits.outputs.log - size, 0)))
        if data or not size:
            target = self.folder.units / str(unit) / LOG
            if not target.parent.exists():
                target.parent.mkdir(parents=True)
                _report(STARTED, unit)
            with target.open("ab") as file:
                file.write(data)
            self.log_sizes[unit] += len(data)

    def _copy_outputs(self, unit: int) -> None:
        """Copy the files of a unit, then report its result. Raises FileNotFoundError while there is no result.

        A damaged result names no files, and fails its unit alone.
        """
        name = self.record.units[unit]
        with open_beneath(self.outputs, f"{unit}/{RESULT}") as file:
            data = read_bounded(file, self.limits.outputs.result)
        try:
            result = parse_result(data, unit=name, limits=self.limits.outputs)
        except ResultError as error:
            result = damaged_result(name, error)
        target = self.folder.units / str(unit)
        remove_tree(target / FILES)  # of an earlier attempt
        for output in result.outputs:
            path = f"{FILES}/{output.path}"
            self.counter.add(output.size)
            with (
                suppress(FileNotFoundError),  # whoever downloads it will notice
                open_beneath(self.outputs, f"{unit}/{path}") as source,
                create_beneath(target, path) as copy,
            ):
                _copy(source, copy, output.size)
        _report(ENDED, unit, b" " + result.to_line())


class _Printer:
    """Copies the worker's own output, as much of it as is kept."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        self._pipe = process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)
        self._left = PRINTED_BYTES

    def copy(self) -> bool:
        """Copy what comes within POLL_INTERVAL_S; return whether more may come."""
        if not self._selector.select(POLL_INTERVAL_S):
            return True
        data = os.read(self._pipe.fileno(), READ_BYTES)
        sys.stdout.buffer.write(data[: self._left])
        sys.stdout.buffer.flush()
        self._left -= min(len(data), self._left)
        return bool(data)

    def wait_for_end(self) -> None:
        """Wait until every process of the sandbox has ended: each has the pipe."""
        deadline = time.monotonic() + END_TIMEOUT_S
        while self.copy() and time.monotonic() < deadline:
            pass


def _report(event: bytes, unit: int, content: bytes = b"") -> None:
    """Report to the supervisor that a unit has started or ended."""
    sys.stderr.buffer.write(event + b"%d" % unit + content + b"\n")
    sys.stderr.buffer.flush()


def _fail(message: str) -> None:
    """Print why the job ended, as the worker does: the supervisor reads the last line."""
    sys.stdout.write(f"openjd_fail: {message}\n")
    sys.stdout.flush()


def _open_pipe(data: bytes) -> int:
    """Return a descriptor from which bubblewrap reads the data."""
    read, write = os.pipe()
    os.write(write, data)  # a pipe holds 64 KiB
    os.close(write)
    return read


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy at most ``size`` bytes: the file may grow meanwhile."""
    while size and (chunk := source.read(min(CHUNK, size))):
        target.write(chunk)
        size -= len(chunk)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
