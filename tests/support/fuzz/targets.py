"""One function for each format that comes from a job or a caller, and valid examples of the format."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backends import output_stream
from backends.errors import OutputError, ResultError, SpecError
from backends.kubernetes.objects.termination import dump_report, parse_report
from backends.local.documents import Record
from backends.local.folder import JobFolder
from backends.local.isolation.relay import Relay
from backends.local.status import read_logs, read_status
from backends.local.worker_process import WorkerProcess
from backends.modal.observe.answer_format import UnitEnd, decode_answer, decode_exception
from backends.models import JobHandle
from backends.problem import Problem
from backends.untrusted import Limits, LineCutter, parse_result, show_line, show_text
from backends.untrusted.logs import CUT_MARK
from backends.worker_protocol import (
    ENDED,
    PRINTED,
    STARTED,
    STORED,
    Output,
    UnitResult,
    last_progress,
    last_status,
)
from renderer.engine.parallel import messages
from renderer.previews.previewing import MAX_WARNING, TIMELINE, describe_warnings, read_previews, summarize
from renderer.serve.uploads import Upload

LIMITS = Limits(total=5000, files=4, log=2000, line=200)
DATA = b"the content of an output"
OUTPUTS = tuple(
    Output(path=path, size=len(DATA), sha256=sha256(DATA).hexdigest()) for path in ("a/b.mp4", "a/c.mp4", "d.csv")
)
PROBLEM = Problem(message="it failed", hint="mend it", details="line 1\nline 2", exit_code=10)
_KEPT = re.compile(rb"(%s|%s)0{0,5}[01] .*" % (PRINTED, STORED))  # lines that only the relay reads
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")


def _stream() -> bytes:
    return output_stream.format_header(OUTPUTS) + DATA * len(OUTPUTS)


def _result() -> UnitResult:
    return UnitResult(
        unit="A",
        exit_code=10,
        outputs=OUTPUTS,
        error=PROBLEM,
        render={"plays": [{"frames": 3, "draw_s": 0.5}], "parallel": True},
        encoder={"name": "x264"},
        versions={"manim": "0.20"},
        seconds={"total": 1.5},
        started="2026-01-01T00:00:00.000+00:00",
    )


def read_stream(data: bytes) -> None:
    """Unpack a stream of outputs: only regular files beneath the folder, no more than the limits."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "outputs"
        inner.mkdir()
        with suppress(OutputError):
            length = output_stream.read_length(io.BytesIO(data), LIMITS)
            assert length is None or length >= 0
            entries = output_stream.unpack(io.BytesIO(data), inner, LIMITS)
            assert {entry.path for entry in entries} == {
                str(path.relative_to(inner)) for path in inner.rglob("*") if path.is_file()
            }
        _check_tree(Path(folder), {"outputs"})


def read_result(data: bytes) -> None:
    """Parse a result: what is accepted is within its limits, and is the same when it is written and read again."""
    try:
        result = parse_result(data, unit="own", limits=LIMITS)
    except ResultError as error:
        _check_text(str(error))
        return
    assert result.unit == "own"
    assert len(result.outputs) <= LIMITS.files
    for text in (result.to_json().encode(), result.to_line()):
        assert parse_result(text, unit="own", limits=LIMITS) == result
        json.loads(text, parse_constant=_refuse)


def read_log(data: bytes) -> None:
    """Cut a log into lines: they are short, the same wherever the pieces end, and cannot control a terminal."""
    cutter = LineCutter(LIMITS.line)
    whole = LineCutter(LIMITS.line)
    step = 1 + len(data) % 37
    lines = [line for start in range(0, len(data), step) for line in cutter.split(data[start : start + step])]
    assert [*lines, cutter.finish()] == [*whole.split(data), whole.finish()]
    for line in lines:
        assert len(line) <= LIMITS.line + len(CUT_MARK)
        _check_text(show_text(line.decode("utf-8", "replace")))
        _check_text(show_line(line.decode("utf-8", "surrogateescape")))


def read_status_lines(data: bytes) -> None:
    """Read progress and status from lines of a log."""
    lines = data.decode("utf-8", "replace").split("\n")
    progress, status = last_progress(lines), last_status(lines)
    assert progress is None or 0 <= progress <= 100
    assert status is None or len(status) <= 1000
    _check_text(show_line(status or ""))


def relay_messages(data: bytes) -> None:
    """Relay what the worker of an untrusted job sends: it writes logs and outputs of its units alone."""
    with _job() as folder:
        passed = io.TextIOWrapper(io.BytesIO())
        with (
            _sending(data) as process,
            redirect_stderr(passed),
            redirect_stdout(io.TextIOWrapper(io.BytesIO())),
        ):
            Relay(folder, LIMITS).follow(process)
        _check_job(folder)
        for line in passed.buffer.getvalue().split(b"\n"):
            assert not _KEPT.fullmatch(line)


def supervise_messages(data: bytes) -> None:
    """Read a worker's reports: whatever it says, state, results and logs of the job can be read."""
    with _job() as folder, _sending(data) as process:
        worker = WorkerProcess(folder, folder.read_record(), process)
        assert worker.wait()
        assert sum(map(len, worker.read_tail())) < 200_000
        status = read_status(folder, JobHandle("local", (folder.id,)))
        assert len(status.units) == 2
        assert all(0 <= (unit.progress or 0) <= 100 for unit in status.units)
        list(read_logs(folder, 2, follow=False, is_running=lambda: False))
        _check_tree(folder.path, {"inputs", "work", "work/scratch", "work/units"})


def read_pod_report(data: bytes) -> None:
    """Read the termination message of a pod."""
    problem = parse_report(data.decode("utf-8", "replace"))
    if problem:
        assert problem.from_job
        assert len(problem.message) <= 1000
        json.dumps(vars(problem)).encode()


def read_modal_answer(data: bytes) -> None:
    """Read what a container at Modal returns."""
    reads: list[Callable[[], UnitEnd | None]] = [
        lambda: decode_answer(data),
        lambda: decode_exception(data.decode("utf-8", "replace")),
    ]
    for read in reads:
        try:
            end = read()
        except ResultError as error:
            _check_text(str(error))
        else:
            assert end is None or (0 <= end.exit_code <= 255 and 0 <= end.seconds < float("inf"))


def read_engine_message(data: bytes) -> None:
    """Read what a process that a scene forked reports to the process that stepped the scene."""
    for line in data.split(b"\n"):
        try:
            message = messages.decode(line)
        except messages.DamagedMessageError:
            continue
        assert messages.decode(messages.encode(message).rstrip(b"\n")) == message


def read_preview(data: bytes) -> None:
    """Read the timeline of a preview, and what is shown of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"A{TIMELINE}")
        file.write_bytes(data)
        try:
            (found,) = read_previews([file, file.with_name("A.png")])
        except ResultError as error:
            _check_text(show_line(str(error)))
            return
        assert {image.name for image in found.images} <= {"A.png"}
        for line in (summarize(found), *describe_warnings(found)):
            assert len(line) < MAX_WARNING + 100
            _check_text(show_line(line))
        json.loads(json.dumps(found.timeline), parse_constant=_refuse)


def read_archive(data: bytes) -> None:
    """Unpack an archive that a caller of the server has sent: only regular files beneath the folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "project").mkdir()
        with suppress(SpecError):
            Upload(Path(folder, "project"), 1).add_tar(io.BytesIO(data))
        assert list(Path(folder).iterdir()) == [Path(folder, "project")]
        for path in Path(folder, "project").rglob("*"):
            assert not path.is_symlink()


def _archive(mode: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name in ("job.py", "a/" + "b" * 200):
            entry = tarfile.TarInfo(name)
            entry.size = len(DATA)
            archive.addfile(entry, io.BytesIO(DATA))
    return content.getvalue()


def _cbor(text: bytes) -> bytes:
    return b"\x79" + len(text).to_bytes(2, "big") + text


_STORED = base64.b64encode(_stream())
_LINES = (
    STARTED + b"0\n" + PRINTED + b"0 " + base64.b64encode(b"hello\n") + b"\n" + STORED + b"0 " + _STORED + b"\n",
    ENDED + b"0 " + _result().to_line() + b"\n" + STARTED + b"1\n" + ENDED + b"1 {}\n",
)
_ANSWER = b'{"exit_code": 10, "message": "it failed", "hint": null, "details": "x", "attempt": 1, "seconds": 2.5}'
_TIMELINE = (
    b'{"plays": [{"number": 0, "source": {"file": "a.py", "line": 3}, "animations": [{"name": "x"}]}], '
    b'"duration_s": 1.5, "images": ["A.png"], "warnings": [{"kind": "font", "message": "it is small", '
    b'"plays": [0, 1, 2, 3, 4], "source": {"file": "a.py", "line": 3}}]}'
)
_PRINTED = b"openjd_progress: 42.5\nopenjd_status: drawing\nusual text \xf0\x9f\x8e\xac\nopenjd_fail: it failed\n"
TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "stream": (read_stream, (_stream(), _stream()[:100])),
    "result": (read_result, (_result().to_line(), _result().to_json().encode())),
    "log": (read_log, (_PRINTED, _PRINTED * 20, b"x" * 1000)),
    "status": (read_status_lines, (_PRINTED,)),
    "relay": (relay_messages, (_LINES[0] + _LINES[1], *_LINES)),
    "worker": (supervise_messages, (_LINES[0] + _LINES[1], *_LINES)),
    "pod": (read_pod_report, (dump_report(PROBLEM), _PRINTED)),
    "modal": (read_modal_answer, (_cbor(_ANSWER), b"renderer: " + _ANSWER)),
    "preview": (read_preview, (_TIMELINE,)),
    "archive": (read_archive, tuple(_archive(mode) for mode in ("w", "w:gz", "w:bz2", "w:xz"))),
    "engine": (
        read_engine_message,
        (
            messages.encode(messages.FramesDrawn(8)) + messages.encode(messages.ErrorRaised("raised", "x", None)),
            messages.encode(messages.PlayMissed()) + messages.encode(messages.LogLine("a", 20, "text", 1.5, 9)),
        ),
    ),
}


@contextmanager
def _job() -> Iterator[JobFolder]:
    with tempfile.TemporaryDirectory() as path:
        folder = JobFolder(Path(path) / "job-abc123")
        folder.path.mkdir()
        folder.create()
        folder.scratch.mkdir()
        folder.units.mkdir()
        folder.write_record(
            Record(name="job", units=("A", "B"), created="2026-01-01T00:00:00+00:00", boot="", retries=0, timeout=10.0)
        )
        folder.lock.touch()
        (folder.path / "launcher.json").write_text('{"start": ["python"], "root": "/", "prefix": [], "end": []}')
        yield folder
        assert [entry.name for entry in Path(path).iterdir()] == ["job-abc123"]


@contextmanager
def _sending(data: bytes) -> Iterator[Any]:
    """Yield a process that has sent the data on stderr and has ended. The data is smaller than a pipe."""
    with ExitStack() as stack:
        streams = []
        for text in (b"", data):
            read, write = os.pipe()
            os.write(write, text)
            os.close(write)
            streams.append(stack.enter_context(os.fdopen(read, "rb", buffering=0)))
        yield SimpleNamespace(stdout=streams[0], stderr=streams[1], poll=lambda: 0, wait=lambda: 0, pid=0)


def _check_job(folder: JobFolder) -> None:
    _check_tree(folder.units, {"0", "1", "0/files", "1/files"})
    files = [path for path in folder.units.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20_000 + LIMITS.total


def _check_tree(folder: Path, folders: set[str]) -> None:
    """Assert that there are only regular files and folders, and above them no other folders than these."""
    for path in folder.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or path.is_file()
        if path.is_dir():
            name = str(path.relative_to(folder))
            assert name in folders or any(name.startswith(f"{parent}/") for parent in folders), name


def _check_text(text: str) -> None:
    assert not _CONTROL.search(text), text
    text.encode()


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
