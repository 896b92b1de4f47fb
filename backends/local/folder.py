"""The folder of one local job.

The job can write ``work``, and in a container it can read ``inputs``. Everything else is for the supervisor and the
commands: nothing there is in reach of a job in a container or a sandbox.

ID/job.json           name, units, when the job was created, on which boot of the machine
ID/launcher.json      how the worker is started
ID/environment.json   variables for the user's code; only the owner can read it, removed when the job has ended
ID/lock               locked by the supervisor while it lives
ID/pid                the supervisor's process id, for people
ID/attempt            the number of the current attempt
ID/earlier            how many earlier jobs are left, while the job waits for its turn
ID/cancel             exists once somebody has cancelled the job
ID/state.json         how the job ended; written last
ID/link               the path of a short link to work/scratch, removed when the job has ended
ID/worker.log         what the worker printed
ID/supervisor.log     what the supervisor itself printed
ID/spool/             entries of the shared cache that are being read or written, removed when the job has ended
ID/results.log        how units ended, as the worker reported it to the supervisor: lines with an index and a result,
                      or the index alone of a unit that runs again; the last line of a unit counts
ID/inputs/            task.json, the worker's payload; bundle.tar.gz and, for a container, the worker's archive, both
                      removed when the job has ended
ID/work/scratch/      the worker's temporary files, removed when the job has ended
ID/work/units/INDEX/  log.txt, result.json and files/ of each unit
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from backends.chunk_store import SHARDS
from backends.errors import OutputError, ResultError
from backends.exit_codes import ExitCode
from backends.local.documents import Ended, Launcher, Record
from backends.problem import Problem
from backends.processes import EndWatch
from backends.untrusted import Limits, open_beneath, parse_result, read_bounded
from backends.untrusted.files import open_regular, read_regular
from backends.untrusted.trees import remove_tree
from backends.worker_protocol import ARCHIVE, FILES, LOG, RESULT, UnitResult

TAIL_BYTES = 65536
WEBHOOKS = ".webhooks"  # a folder beside those of the jobs: see webhooks.py
MAX_DIGITS = 6  # of the index of a unit
_NUMBER = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}")
DOCUMENT_BYTES = 2**24
MOST_LINE = DOCUMENT_BYTES + 64  # of the file of results: an index and a document
RESULT_LIMITS = Limits(result=DOCUMENT_BYTES, files=2**31)  # the worker limits the number of files


class _Child:
    """The path of something in a job's folder. It is made when it is used: of most jobs in a list, none is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: JobFolder, _: type[JobFolder]) -> Path:
        return folder.path / self._name


class JobFolder:
    """The folder of one job: reads and writes its files."""

    inputs = _Child("inputs")
    task = _Child("inputs/task.json")
    bundle = _Child("inputs/bundle.tar.gz")
    worker = _Child(f"inputs/{ARCHIVE}")
    environment = _Child("environment.json")
    lock = _Child("lock")
    pid = _Child("pid")
    attempt = _Child("attempt")
    earlier = _Child("earlier")
    cancel = _Child("cancel")
    link = _Child("link")
    worker_log = _Child("worker.log")
    supervisor_log = _Child("supervisor.log")
    results = _Child("results.log")
    spool = _Child("spool")
    work = _Child("work")
    scratch = _Child("work/scratch")
    units = _Child("work/units")

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        """The job's id, which is the folder's name."""
        return self.path.name

    @property
    def is_complete(self) -> bool:
        """Whether submit has written the whole folder."""
        return (self.path / "job.json").exists()

    def create(self) -> None:
        """Make the folders in it."""
        for folder in (self.inputs, self.work):
            folder.mkdir()

    def open_output(self, unit: int, path: str) -> BinaryIO:
        """Open an output of a unit for reading. Raises OutputError for what is not a regular file, or is not there."""
        try:
            return open_beneath(self.work, f"{self.units.name}/{unit}/{FILES}/{path}")
        except FileNotFoundError as error:
            raise OutputError(f"the output {path} is not there any more", hint="submit the job again") from error

    def open_log(self, unit: int) -> BinaryIO | None:
        """Open a unit's log for reading; None while there is none, and for anything but a regular file."""
        with suppress(OSError, OutputError):
            return open_beneath(self.work, f"{self.units.name}/{unit}/{LOG}")
        return None

    def list_begun(self) -> set[int]:
        """Return the units that have a folder. The job can make such folders as well."""
        with suppress(OSError):
            found = os.listdir(self.units)  # noqa: PTH208  # quicker, for each look at a map
            return {int(name) for name in found if _NUMBER.fullmatch(name)}
        return set()

    def forget_unit(self, unit: int) -> None:
        """Remove the unit's results of an earlier attempt: a job may have written the one in ``work`` itself."""
        self._add_result(unit, b"")
        folder = self.units / str(unit)
        with suppress(OSError):
            for path in (self.units, folder):
                if path.is_symlink():
                    path.unlink()
            remove_tree(folder / RESULT)

    def follow_results(self, names: Sequence[str], start: int) -> Iterator[tuple[int, UnitResult | None, int]]:
        """Yield how units ended, in this order, from the byte ``start`` of the file on; None for one that runs again.

        The last value is where to go on later. A document that is damaged is a result that failed.
        """
        for unit, content, position in self._read_results(names, start):
            yield unit, _parse(content, names[unit]), position

    def read_results(self, names: Sequence[str], units: Collection[int]) -> dict[int, UnitResult]:
        """Return how those of the ``units`` ended that have. A document that is damaged is a result that failed."""
        contents = {unit: content for unit, content, _ in self._read_results(names, 0) if unit in units}
        read = ((unit, _parse(content, names[unit])) for unit, content in sorted(contents.items()))
        return {unit: result for unit, result in read if result}

    def _read_results(self, names: Sequence[str], start: int) -> Iterator[tuple[int, bytes | None, int]]:
        """Yield the unit and the content of each whole line, and where the next one begins."""
        try:
            with open_beneath(self.path, self.results.name) as file:
                file.seek(start)
                while line := file.readline(MOST_LINE):
                    if not line.endswith(b"\n") and len(line) < MOST_LINE:
                        return  # it is being written
                    start += len(line)
                    number, space, content = line.rstrip(b"\n").partition(b" ")
                    if number.isdigit() and len(number) <= MAX_DIGITS and int(number) < len(names):
                        yield int(number), content if space else None, start
        except FileNotFoundError:
            return
        except (OSError, OutputError):
            yield from ((unit, b"", start) for unit in range(len(names)))

    def write_result(self, unit: int, result: UnitResult) -> None:
        """Write a unit's result."""
        line = result.to_line()
        if len(line) > DOCUMENT_BYTES:
            line = damaged_result(result.unit, OutputError("it is too large")).to_line()
        self._add_result(unit, line)

    def _add_result(self, unit: int, content: bytes) -> None:
        """Add a line to the file: for each unit of a map, that takes a fraction of the time of creating a file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(self.results, flags, 0o644), "wb") as file:
            file.write(b"%d %s\n" % (unit, content) if content else b"%d\n" % unit)

    def read_record(self) -> Record:
        """Return job.json. Raises OSError or ValueError for a folder that does not hold a whole job."""
        return Record.from_json(self._read("job.json"))

    def write_record(self, record: Record) -> None:
        """Write job.json. From then on, the job exists for other commands."""
        write_json(self.path / "job.json", record.to_json())

    def read_launcher(self) -> Launcher:
        """Return launcher.json. Raises OSError or ValueError."""
        return Launcher.from_json(self._read("launcher.json"))

    def write_launcher(self, launcher: Launcher) -> None:
        """Write launcher.json."""
        write_json(self.path / "launcher.json", launcher.to_json())

    def read_end(self) -> Ended | None:
        """Return state.json; None while the job has not ended. Raises OSError or ValueError."""
        try:
            return Ended.from_json(self._read("state.json"))
        except FileNotFoundError:
            return None

    def write_end(self, ended: Ended) -> None:
        """Remove what only a running job needs, then write state.json. From then on, the job has ended."""
        self._remove_link()
        with suppress(OSError):
            remove_tree(self.scratch)
            remove_tree(self.spool)
        with suppress(OSError):
            remove_tree(self.units / SHARDS)
        for used in (self.link, self.bundle, self.worker, self.environment):
            used.unlink(missing_ok=True)
        write_json(self.path / "state.json", ended.to_json())

    def _remove_link(self) -> None:
        """Remove the short link to ``scratch`` with its folder, if a killed supervisor has left it."""
        with suppress(OSError, ValueError):
            link = Path(os.fsdecode(self._read(self.link.name)))
            if link.readlink() == self.scratch:
                link.unlink()
                link.parent.rmdir()

    def ended_within(self, time_span: timedelta) -> bool:
        """Return whether state.json was written within the last ``time_span``, without reading it."""
        with suppress(OSError):
            return time.time() - (self.path / "state.json").lstat().st_mtime < time_span.total_seconds()
        return False

    def read_attempt(self) -> int:
        """Return the number of the current attempt."""
        try:
            return int(self._read("attempt"))
        except (OSError, ValueError):
            return 1

    def read_earlier(self) -> int | None:
        """Return how many earlier jobs are left while the job waits for its turn; None if it does not wait."""
        try:
            return int(self._read(self.earlier.name))
        except (OSError, ValueError):
            return None

    def watch_supervisor(self) -> EndWatch:
        """Return what waits for the end of the supervisor."""
        try:
            return EndWatch(int(self._read(self.pid.name)))
        except (OSError, ValueError, OverflowError):  # it has not started yet, or the job has changed the file
            return EndWatch(None)

    def is_supervised(self) -> bool:
        """Return whether the supervisor runs: it has a lock, which the kernel releases when the process ends."""
        try:
            with open_beneath(self.path, "lock") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except (FileNotFoundError, OutputError):
            return False
        return False

    def _read(self, name: str) -> bytes:
        """Return the content of a document. Raises OSError, and ValueError for what is not a file of a usual size."""
        try:
            if "/" not in name:
                return read_regular(self.path, name, DOCUMENT_BYTES)
            with open_regular(self.path, PurePosixPath(name)) as file:
                return read_bounded(file, DOCUMENT_BYTES)
        except OutputError as error:
            raise ValueError(str(error)) from error


def _parse(content: bytes | None, name: str) -> UnitResult | None:
    if content is None:
        return None
    try:
        return parse_result(content, unit=name, limits=RESULT_LIMITS)
    except OutputError as error:
        return damaged_result(name, error)


def damaged_result(name: str, error: Exception) -> UnitResult:
    """Return the result of a unit whose result cannot be used."""
    message = str(error) if isinstance(error, ResultError) else f"the result of {name} is damaged"
    return UnitResult(unit=name, exit_code=ExitCode.OUTPUT, error=Problem(message=message, exit_code=ExitCode.OUTPUT))


def read_tail(file: BinaryIO) -> list[str]:
    """Return the last lines of a file, TAIL_BYTES at most, and close it."""
    with file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
        return file.read(TAIL_BYTES).decode("utf-8", "replace").split("\n")


def write_json(path: Path, content: Mapping[str, object], mode: int = 0o644) -> None:
    """Write a JSON file. Readers see the old or the new content, never a part."""
    _write(path, json.dumps(content, ensure_ascii=False), mode)


def _write(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
    temporary.replace(path)


def boot_id() -> str:
    """Return the id of the machine's current boot; an empty text if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
