"""Whatever bytes an untrusted job sends: the relay writes into its units' folders alone, and within the limits."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.local.documents import Record
from backends.local.folder import JobFolder
from backends.local.isolation.relay import Relay
from backends.untrusted import Limits
from backends.worker_protocol import ENDED, PRINTED, STARTED, STORED, Output, UnitResult

LIMITS = Limits(total=1000, files=3, log=500)
DATA = b"the content of an output"


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    found = JobFolder(tmp_path / "job-abc123")
    found.path.mkdir()
    found.create()
    found.scratch.mkdir()
    found.write_record(
        Record(name="job", units=("A", "B"), created="2026-01-01T00:00:00+00:00", boot="", retries=0, timeout=10.0)
    )
    return found


def follow(folder: JobFolder, data: bytes) -> bytes:
    """Let a relay follow a worker that sends the bytes; return what it passes on."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom subprocess import PIPE, Popen\n"
        "from backends.local.folder import JobFolder\nfrom backends.local.isolation.relay import Relay\n"
        "from backends.untrusted import Limits\n"
        f"worker = Popen(['sh', '-c', 'cat >&2'], stdin=0, stdout=PIPE, stderr=PIPE)\n"
        f"Relay(JobFolder(Path(sys.argv[1])), {LIMITS!r}).follow(worker)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, folder.path], input=data, capture_output=True, check=True)
    return done.stderr


def files(folder: JobFolder) -> set[str]:
    """Return the files of the job."""
    return {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}


def stream(*outputs: Output, content: bytes = DATA) -> bytes:
    header = b"".join(json.dumps(vars(output)).encode() + b"\n" for output in outputs) + b"\n"
    return base64.b64encode(header + content)


def report(stored: bytes, *outputs: Output) -> bytes:
    result = UnitResult(unit="A", exit_code=0, outputs=outputs).to_line()
    return STARTED + b"0\n" + STORED + b"0 " + stored + b"\n" + ENDED + b"0 " + result + b"\n"


GOOD = Output(path="a/b.mp4", size=len(DATA), sha256=sha256(DATA).hexdigest())


def test_logs_and_outputs_are_written_before_the_end_is_reported(folder: JobFolder) -> None:
    log = PRINTED + b"0 " + base64.b64encode(b"hello\n") + b"\n"
    data = report(stream(GOOD), GOOD).replace(STORED, log + STORED, 1)
    passed = follow(folder, data)
    assert b'"exit_code": 0' in passed
    assert (folder.units / "0" / "files" / "a" / "b.mp4").read_bytes() == DATA
    assert (folder.units / "0" / "log.txt").read_bytes() == b"hello\n"
    assert PRINTED not in passed


BAD = {
    "above": (Output(path="../../../x", size=len(DATA), sha256=GOOD.sha256), DATA),
    "absolute": (Output(path="/tmp/attack", size=len(DATA), sha256=GOOD.sha256), DATA),  # noqa: S108
    "digest": (Output(path="a", size=len(DATA), sha256="0" * 64), DATA),
    "short": (Output(path="a", size=len(DATA), sha256=GOOD.sha256), DATA[:-1]),
    "large": (Output(path="a", size=2000, sha256=GOOD.sha256), DATA * 100),
    "huge": (Output(path="a", size=2**62, sha256=GOOD.sha256), DATA),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_stream_fails_its_unit_alone_and_leaves_nothing(name: str, folder: JobFolder) -> None:
    output, content = BAD[name]
    passed = follow(folder, report(stream(output, content=content), GOOD))
    assert b'"exit_code": 6' in passed
    assert {path for path in files(folder) if "files" in path} <= {"work/units/0/files/a"}


def test_a_result_without_its_outputs_fails(folder: JobFolder) -> None:
    result = UnitResult(unit="A", exit_code=0, outputs=(GOOD,)).to_line()
    assert b"did not send its outputs" in follow(folder, STARTED + b"0\n" + ENDED + b"0 " + result + b"\n")


def test_a_long_log_is_cut(folder: JobFolder) -> None:
    data = STARTED + b"1\n" + (PRINTED + b"1 " + base64.b64encode(b"x" * 300) + b"\n") * 100 + ENDED + b"1 {}\n"
    follow(folder, data)
    assert (folder.units / "1" / "log.txt").stat().st_size < 700


_LINES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda event, unit, content: event + str(unit).encode() + b" " + content,
        st.sampled_from([STARTED, PRINTED, STORED, ENDED]),
        st.integers(min_value=0, max_value=3),
        st.one_of(st.binary(max_size=40), st.binary(max_size=400).map(base64.b64encode), st.just(stream(GOOD))),
    ),
)


@given(lines=st.lists(_LINES, max_size=20))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_are_harmless(lines: list[bytes], folder: JobFolder) -> None:
    relay = Relay(folder, LIMITS)
    for line in b"\n".join(lines).split(b"\n"):
        relay._take_line(line)
    for log in relay._logs.values():
        log.close()
    for store in relay._stores.values():
        store.close()
    allowed = {"job.json", "work/units/0/log.txt", "work/units/1/log.txt"}
    assert {path for path in files(folder) if "/files/" not in path} <= allowed
    assert sum(path.stat().st_size for path in folder.units.rglob("log.txt")) < 100_000
