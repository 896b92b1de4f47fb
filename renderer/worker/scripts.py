"""Runs a Python script as the one unit of a job."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from backends.processes import LARGE_PAGES
from backends.untrusted import open_beneath
from backends.worker_protocol import LOG, OUTPUT_DIR
from renderer.system.limits import count_usable_cores
from renderer.worker import diagnosis
from renderer.worker.packages import find_python
from renderer.worker.unpacked_job import OWN_VARIABLES, Runner, UnitReport, UnpackedJob

LOG_BYTES = 2**20  # the end of the log that is searched for a traceback
NOT_STARTED = 127  # the exit code of a shell that cannot start a program


class ScriptRunner(Runner):
    """Runs the file as ``__main__`` in the job's root, as `python FILE ARGUMENTS` would.

    Of a map, as many inputs run at the same time as there are cores.
    """

    def __init__(self, job: UnpackedJob) -> None:
        super().__init__(job)
        own = {(key, value) for key, value in os.environ.items() if key in OWN_VARIABLES} | LARGE_PAGES.items()
        self.environment = dict(os.environ.items() - own)
        self.side_by_side = count_usable_cores() if job.inputs else 1

    def start(self, unit: int, output: int) -> int:
        """Start Python: that of the job's own packages, or the one that runs the worker."""
        environment = dict(self.environment)
        environment[OUTPUT_DIR] = str(self.job.source(unit))
        environment["PYTHONUNBUFFERED"] = "1"
        environment.update(self.job.write_input(unit))
        if path := self.job.python_path(unit):
            environment["PYTHONPATH"] = os.pathsep.join(path)
        python, packages = sys.executable, self.job.environment
        if packages:
            python = find_python(packages)
            environment["PATH"] = os.pathsep.join([str(packages / "bin"), environment.get("PATH", os.defpath)])
        file = self.job.payload.file
        if file.startswith("-"):  # Python would take it for an option
            file = f"./{file}"
        command = [python, file, *self.job.payload.arguments, *self._input_arguments(unit)]
        try:
            os.chdir(self.job.source(unit))
            return os.posix_spawn(  # unlike a fork, it copies nothing of this process
                python,
                command,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsigdef=[signal.SIGPIPE],  # Python ignores it, and what is ignored stays so
            )
        except OSError as error:
            os.write(output, f"cannot start {python}: {error.strerror}\n".encode("utf-8", "replace"))
            return os.fork() or os._exit(NOT_STARTED)
        finally:
            os.chdir(self.job.scratch)

    def read_report(self, unit: int, exit_code: int) -> UnitReport | None:
        """Return how the script ended, from its exit code and its log."""
        if exit_code == 0:
            return UnitReport()
        if exit_code < 0:
            return None
        log = self._read_log(unit)
        error = Problem(
            message=f"{self.job.name(unit)} ended with exit code {exit_code}",
            hint=diagnosis.find_hint(log),
            details=diagnosis.find_traceback(log, self.job.source(unit)),
            exit_code=ExitCode.USER_CODE,
        )
        return UnitReport(error=error, render={"script_exit_code": exit_code})

    def _input_arguments(self, unit: int) -> Sequence[str]:
        return self.job.read_input(unit).arguments if self.job.inputs else ()

    def _read_log(self, unit: int) -> str:
        """Return the end of the unit's log."""
        with suppress(OSError, OutputError), open_beneath(self.job.folder(unit), LOG) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LOG_BYTES, 0))
            return file.read(LOG_BYTES).decode("utf-8", "replace")
        return ""
