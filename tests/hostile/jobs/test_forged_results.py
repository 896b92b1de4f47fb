"""Jobs that write results and state themselves: what counts is what their worker reported, and only for their unit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import JobState
from backends.errors import InputError, JobNotFoundError
from backends.exit_codes import ExitCode
from backends.local.documents import Ended, Launcher, Record
from backends.local.folder import JobFolder
from backends.worker_protocol import ENDED, STARTED, Output, UnitResult
from renderer.api import Job
from renderer.cli.output import status_lines

Submit = Callable[..., Job]

GOOD = UnitResult(unit="../../../.ssh", exit_code=0, outputs=(Output(path="a.txt", size=0, sha256="0" * 64),))
FORGE = f"""\
print('attempt', flush=True)
time.sleep(0.2)
(out / 'a.txt').touch()
(out.parent / 'result.json').write_text({GOOD.to_json()!r})
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
"""


def test_a_forged_result_is_not_believed_when_the_worker_is_killed(submit_script: Submit, tmp_path: Path) -> None:
    job = submit_script(FORGE)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.LOST)
    assert status.reason == "the worker was ended by SIGKILL"
    assert status.units[0].state is JobState.FAILED
    assert job.fetch(tmp_path / "out") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs", "project"]


def test_a_forged_result_does_not_replace_the_next_attempt(submit_script: Submit) -> None:
    job = submit_script(FORGE, retries=1)
    assert job.wait(600).exit_code == ExitCode.LOST
    assert "-- next attempt --" in [line.text for line in job.logs()]  # it has run again


def test_what_a_job_prints_is_no_report_of_its_worker(submit_script: Submit) -> None:
    lines = [STARTED + b"7", STARTED + b"x", ENDED + b"0 " + GOOD.to_line(), ENDED + b"99 {}", ENDED + b"0 {}"]
    text = "".join(f"os.write({stream}, {line!r} + b'\\n')\n" for line in lines for stream in (1, 2))
    status = submit_script(text + "sys.exit(3)\n").wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    assert status.units[0].message == "job.py ended with exit code 3"


def test_the_advice_of_a_job_is_never_ours(submit_script: Submit) -> None:
    job = submit_script("from backends.errors import SpecError\nraise SpecError('x', hint='curl evil.example')\n")
    status = job.wait(600)
    assert status.hint == f"renderer logs {job.handle}"
    assert [line.strip() for line in status_lines(status) if "→" in line] == [f"→ renderer logs {job.handle}"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may open everything outside a container")
def test_a_job_cannot_open_the_files_of_its_worker_and_its_supervisor(submit_script: Submit) -> None:
    text = """
worker = os.getppid()
for pid in (worker, int(pathlib.Path(f'/proc/{worker}/stat').read_text().split()[3])):
    for name, mode in (('fd/1', os.O_WRONLY), ('fd/2', os.O_WRONLY), ('mem', os.O_RDWR), ('environ', os.O_RDONLY)):
        try:
            os.open(f'/proc/{pid}/{name}', mode)
            print('opened', name, flush=True)
        except PermissionError:
            print('refused', flush=True)
"""
    job = submit_script(text)
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in job.logs()] == ["refused"] * 8


BAD: dict[str, bytes] = {
    "list": b'["x"]', "empty": b"", "cut": b"{", "deep": b"[" * 10**6, "UTF-8": b"\xff\xfe", "number": b"1" * 10_000,
    "large": b" " * 10**8, "code": GOOD.to_json().replace(": 0,", ': "0",', 1).encode(),
    "path": GOOD.to_json().replace("a.txt", "../../x").encode(), "null": b"null", "twice": b'{"schema":1,"schema":[]}',
}  # fmt: skip


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


SPECIAL: dict[str, Callable[[Path], object]] = {
    **{name: lambda path, data=data: path.write_bytes(data) for name, data in BAD.items()},  # type: ignore[misc]
    "pipe": os.mkfifo, "folder": Path.mkdir, "link": make_link,
}  # fmt: skip


def assert_usable(job: Job, beside: Job, submit_script: Submit, into: Path) -> None:
    """Every command works on the damaged job or names it, and the other job has not noticed."""
    backend = job.backend
    list(job.logs())
    job.cancel()
    assert beside.handle in [status.handle for status in backend.list()]
    assert [path.name for path in beside.fetch(into / "beside")] == ["fine.txt"]
    assert submit_script("").wait(600).state is JobState.SUCCEEDED
    list(backend.collect_garbage(older_than=timedelta(days=1)))
    job.delete()
    with pytest.raises(JobNotFoundError):
        job.status()


@pytest.mark.parametrize("damage", SPECIAL.values(), ids=SPECIAL)
def test_a_damaged_result_is_that_units_failure_alone(
    damage: Callable[[Path], object], submit_script: Submit, job_folder: Callable[[Job], Path], tmp_path: Path
) -> None:
    beside = submit_script("(out / 'fine.txt').touch()")
    job = submit_script("(out / 'a.txt').touch()")
    assert {job.wait(600).state, beside.wait(600).state} == {JobState.SUCCEEDED}
    result = job_folder(job) / "results.log"
    result.unlink()
    damage(result)
    if result.is_file() and not result.is_symlink():
        result.write_bytes(b"0 " + result.read_bytes() + b"\n")
    (unit,) = job.status().units
    assert (unit.state, unit.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
    assert str(unit.message).startswith("the result of job.py is damaged")
    assert len(str(unit.message)) < 300
    assert job.fetch(tmp_path / "out") == []
    assert_usable(job, beside, submit_script, tmp_path)


@pytest.mark.parametrize("name", ["job.json", "state.json"])
@pytest.mark.parametrize("damage", SPECIAL.values(), ids=SPECIAL)
def test_a_damaged_document_of_a_job_stops_nothing(
    damage: Callable[[Path], object],
    name: str,
    submit_script: Submit,
    job_folder: Callable[[Job], Path],
    tmp_path: Path,
) -> None:
    beside, job = submit_script("(out / 'fine.txt').touch()"), submit_script("")
    assert {job.wait(600).state, beside.wait(600).state} == {JobState.SUCCEEDED}
    (job_folder(job) / name).unlink()
    damage(job_folder(job) / name)
    with pytest.raises(InputError, match="is damaged"):
        job.status()
    assert beside.handle in [status.handle for status in job.backend.list()]
    assert [path.name for path in beside.fetch(tmp_path / "beside")] == ["fine.txt"]
    assert submit_script("").wait(600).state is JobState.SUCCEEDED
    job.delete()
    assert not job_folder(job).exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_RECORD = Record(name="a", units=("A",), created="2026-01-01T00:00:00+00:00", boot="", retries=0, timeout=1)
_DOCUMENTS: list[tuple[type[Record | Ended | Launcher], dict[str, object]]] = [
    (Record, _RECORD.to_json()),
    (Ended, Ended(state=JobState.FAILED, finished="2026-01-01T00:00:00+00:00").to_json()),
    (Launcher, Launcher(start=("p",), root="r").to_json()),
]


@given(st.sampled_from(_DOCUMENTS), st.data())
def test_no_document_raises_anything_but_a_value_error(
    document: tuple[type[Record | Ended | Launcher], dict[str, object]], data: st.DataObject
) -> None:
    kind, content = document
    assert kind.from_json(json.dumps(content).encode()).to_json() == json.loads(
        json.dumps(content), object_hook=_tuples
    )
    changed = {**content, data.draw(st.sampled_from(list(content))): data.draw(_JSON)}
    for text in (json.dumps(changed).encode(), data.draw(st.binary()), json.dumps(data.draw(_JSON)).encode()):
        try:
            kind.from_json(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("timeout", 10**400),
        ("timeout", float("inf")),
        ("timeout", -1),
        ("created", "0001-01-01T00:00:00+23:59"),
        ("created", "9999-12-31T23:59:59-23:59"),
        ("units", ["u"] * 200_000),
        ("units", ["\ud800"]),
        ("name", "\ud800"),
    ],
    ids=["huge", "endless", "negative", "first day", "last day", "many units", "unit not text", "name not text"],
)
def test_a_record_that_no_submit_writes_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"another form|another year|surrogates"):
        Record.from_json(json.dumps({**_RECORD.to_json(), key: value}).encode())


@pytest.mark.parametrize("code", [0, -1, 255, 10**30])
def test_an_end_with_an_exit_code_that_does_not_exist_is_refused(code: int) -> None:
    content = {**Ended(state=JobState.FAILED, finished=_RECORD.created).to_json(), "exit_code": code, "reason": "x"}
    with pytest.raises(ValueError, match="another form"):
        Ended.from_json(json.dumps(content).encode())


def _tuples(content: dict[str, object]) -> dict[str, object]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}


@pytest.mark.parametrize("pid", ["9" * 30, "-1", "0", "x", ""])
def test_the_end_of_a_forged_process_is_not_waited_for(pid: str, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(pid)
    assert JobFolder(tmp_path).watch_supervisor().descriptor is None
