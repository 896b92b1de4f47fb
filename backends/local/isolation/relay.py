"""Takes what the worker of an untrusted job sends, writes it into the job's folder, and passes its reports on.

``python -I -m backends.local.isolation.relay FOLDER LIMITS COMMAND…`` runs the command, which starts a worker with
SEND. Units run where no folder of this machine can be written, so all that they print and store arrives as lines on
stderr.
"""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from io import BufferedRandom
from pathlib import Path
from tempfile import TemporaryFile

from backends.errors import OutputError, ResultError
from backends.exit_codes import ExitCode
from backends.local.documents import Record
from backends.local.folder import DOCUMENT_BYTES, JobFolder
from backends.output_stream import unpack
from backends.problem import Problem
from backends.processes import die_with_parent
from backends.untrusted import Limits, LineCutter, LogWriter, parse_result
from backends.untrusted.trees import remove_tree
from backends.worker_protocol import ENDED, FILES, LOG, PRINTED, SEND, STARTED, STORED, UnitResult

READ_BYTES = 2**16
HEADER_BYTES = 2048  # at most, for each file of the stream of outputs
END_TIMEOUT_S = 5.0
_LINE = re.compile(rb"(%s|%s|%s|%s)(\d{1,6})(?: (.*))?" % (STARTED, PRINTED, STORED, ENDED), re.DOTALL)


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    folder, limits = JobFolder(Path(sys.argv[1])), Limits(**json.loads(sys.argv[2]))
    parent = os.getpid()
    process = subprocess.Popen(
        [*sys.argv[3:], SEND],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: die_with_parent(parent, signal.SIGTERM),  # noqa: PLW1509  # there is one thread
    )
    return Relay(folder, limits).follow(process)


def relay_command(folder: JobFolder, limits: Limits) -> list[str]:
    """Return the command that runs another command, which is to follow, with a relay."""
    return [sys.executable, "-I", "-m", "backends.local.isolation.relay", str(folder.path), json.dumps(asdict(limits))]


class Relay:
    """Follows one worker. Whatever it sends, no more than ``limits`` is written, and only into its units' folders."""

    def __init__(self, folder: JobFolder, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.record: Record = folder.read_record()
        self._logs: dict[int, LogWriter] = {}
        self._stores: dict[int, BufferedRandom] = {}
        self._left = limits.total + limits.files * HEADER_BYTES

    def follow(self, process: subprocess.Popen[bytes]) -> int:
        """Take what the worker sends until it has ended; return its exit code."""
        assert process.stdout is not None  # noqa: S101  # both are pipes
        assert process.stderr is not None  # noqa: S101
        lines = LineCutter(DOCUMENT_BYTES)

        def read_reports(data: bytes) -> None:
            for line in lines.split(data):
                self._take_line(line)

        sinks: dict[int, Callable[[bytes], None]] = {
            process.stdout.fileno(): _write_out,
            process.stderr.fileno(): read_reports,
        }
        with selectors.DefaultSelector() as selector:
            for descriptor in sinks:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, READ_BYTES)
                    sinks[key.fd](data)
                    if not data:
                        selector.unregister(key.fd)
        if rest := lines.finish():
            self._take_line(rest)
        for log in self._logs.values():  # of units that did not end
            log.close()
        for store in self._stores.values():
            store.close()
        return process.wait()

    def _take_line(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None or int(found[2]) >= len(self.record.units):
            _pass_on(line)
            return
        unit, content = int(found[2]), found[3] or b""
        if found[1] == STARTED:
            self._begin(unit)
            _pass_on(line)
        elif found[1] == ENDED:
            self._end(unit, content)
        else:
            with suppress(ValueError):  # not base64
                data = base64.b64decode(content, validate=True)
                self._print(unit, data) if found[1] == PRINTED else self._store(unit, data)

    def _begin(self, unit: int) -> None:
        """Make the unit's log; one of an earlier attempt is continued."""
        folder = self.folder.units / str(unit)
        folder.mkdir(parents=True, exist_ok=True)
        if unit not in self._logs:
            file = (folder / LOG).open("ab")
            self._logs[unit] = LogWriter(file, self.limits)
            if file.tell():
                self._logs[unit].write(b"-- next attempt --\n")

    def _print(self, unit: int, data: bytes) -> None:
        if unit in self._logs:
            self._logs[unit].write(self._limit(data))

    def _store(self, unit: int, data: bytes) -> None:
        """Keep a piece of the stream of a unit's outputs; what is more than the limits of the job is dropped."""
        if unit not in self._stores:
            self._stores[unit] = TemporaryFile(dir=self.folder.scratch)  # noqa: SIM115  # closed at the unit's end
        self._stores[unit].write(self._limit(data))

    def _limit(self, data: bytes) -> bytes:
        """Return what of the data is within the limits of the whole job: outputs and logs count together."""
        kept = data[: self._left]
        self._left -= len(kept)
        return kept

    def _end(self, unit: int, content: bytes) -> None:
        """Write the unit's outputs, and report its result after that."""
        log = self._logs.pop(unit, None)
        if log:
            log.close()
        name = self.record.units[unit]
        line = content
        with suppress(ResultError):  # the supervisor says that it is damaged
            result = parse_result(content, unit=name, limits=self.limits)
            line = (self._unpack(unit, result) if result.outputs else result).to_line()
        _pass_on(ENDED + b"%d " % unit + line)

    def _unpack(self, unit: int, result: UnitResult) -> UnitResult:
        """Write the outputs that were sent; return the result, which is a failure where they cannot be taken."""
        files = self.folder.units / str(unit) / FILES
        try:
            with self._stores.pop(unit) as stream:
                remove_tree(files)  # of an earlier attempt
                files.mkdir(parents=True)
                unpack(stream, files, self.limits)
        except KeyError:
            return _fail(result, OutputError("the job did not send its outputs", hint="submit the job again"))
        except OutputError as error:
            return _fail(result, error)
        except OSError as error:
            return _fail(result, OutputError(f"cannot write the outputs: {error.strerror}"))
        return result


def _fail(result: UnitResult, error: OutputError) -> UnitResult:
    problem = Problem(message=str(error), hint=error.hint, exit_code=ExitCode.OUTPUT)
    return UnitResult(unit=result.unit, exit_code=ExitCode.OUTPUT, error=problem)


def _write_out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _pass_on(line: bytes) -> None:
    sys.stderr.buffer.write(line + b"\n")
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
