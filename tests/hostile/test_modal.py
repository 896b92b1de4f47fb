"""Hostile jobs at Modal: a container that answers what it likes, and reaches for other jobs, against the fake server.

The attacks run inside the container: they take the credentials of Modal's own process there and send its requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modal_proto import api_pb2 as pb
from support.modal_server import FakeModal
from support.processes import until
from support.rigs.base import Rig
from support.rigs.modal import environment

from backends import JobState
from backends.errors import OutputError, ResultError, SpecError
from backends.exit_codes import ExitCode
from backends.modal.observe.answer_format import decode_answer, decode_exception, decode_loss
from backends.modal.observe.logs import join_lines
from backends.modal.request import INPUTS_MOUNT, OUTPUTS_MOUNT
from backends.untrusted import Limits

pytestmark = pytest.mark.modal
Script = Callable[[str], Path]

# Speaks with Modal's server as the container, whose process it finds in /proc.
INTRUDER = """
import asyncio, os, pickle, urllib.request
from pathlib import Path
from grpclib.client import Channel
from grpclib.exceptions import GRPCError
from modal_proto import api_grpc, api_pb2 as pb

def is_entry_point(pid):
    return b"modal._container_entrypoint" in Path(f"/proc/{pid}/cmdline").read_bytes()

def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

pid = os.getpid()
while not is_entry_point(pid):
    pid = parent_of(pid)
variables = dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\\0") if "=" in item)
header, _, task = variables["MODAL_OVERRIDE_HEADERS"].partition(":")

def send(rpc, request):
    async def go():
        host, _, port = variables["MODAL_SERVER_URL"].removeprefix("http://").partition(":")
        channel = Channel(host, int(port))
        try:
            return await getattr(api_grpc.ModalClientStub(channel), rpc)(request, metadata={header: task})
        finally:
            channel.close()
    return asyncio.run(go())
"""
ANSWER = """
class Evil:
    def __reduce__(self):
        return os.system, ("touch " + os.environ["MARK"],)

evil = pickle.dumps(Evil())
R = pb.GenericResult
def answer(data_format=pb.DATA_FORMAT_PICKLE, **result):
    item = pb.FunctionPutOutputsItem(result=R(**result), data_format=data_format)
    send("FunctionPutOutputs", pb.FunctionPutOutputsRequest(outputs=[item]))
"""
BLOB = """
made = send("BlobCreate", pb.BlobCreateRequest())
urllib.request.urlopen(urllib.request.Request(made.upload_urls.items[0], evil, method="PUT"))
answer(status=1, data_blob_id=made.blob_ids[0])
"""
# What the container answers, and the words that the user then reads.
ANSWERS = {
    "pickle": ("answer(status=1, data=evil)", "is damaged"),
    "no format": ("answer(0, status=1, data=evil)", "is damaged"),
    "unknown format": ("answer(77, status=1, data=evil)", "is damaged"),
    "generator": ("answer(pb.DATA_FORMAT_GENERATOR_DONE, status=1, data=evil)", "is damaged"),
    "exception": (
        "answer(status=2, data=evil, exception='boo', traceback='t', serialized_tb=evil, tb_line_cache=evil)",
        "the function at Modal failed: boo",
    ),
    "exception at start": ("send('TaskResult', pb.TaskResultRequest(result=R(status=2, data=evil)))", "was lost"),
    "unknown status": ("answer(status=99, data=evil)", "was lost"),
    "blob": (BLOB, "is damaged"),
    "cbor with tags": ("answer(pb.DATA_FORMAT_CBOR, status=1, data=b'\\xd8\\x23\\x63(a+')", "is damaged"),
    "nothing": ("answer(pb.DATA_FORMAT_CBOR, status=1)", "is damaged"),
    "forged retry": ("answer(status=2, exception='renderer: [' * 100)", "is damaged"),
    "escapes": ("answer(status=2, exception='\\x1b]0;x\\x07\\u202e', traceback='t')", "\\x1b]0;x\\x07\\u202e"),
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as running, environment(running):
        yield running


@pytest.fixture
def rig(fake: FakeModal, tmp_path: Path) -> Rig:
    fake.state.requests.clear()
    fake.state.refused.clear()
    return Rig("modal", {"modal.state_dir": tmp_path / "jobs"})


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a script into a folder of its own."""

    def write(text: str) -> Path:
        path = tmp_path / f"project-{len(list(tmp_path.iterdir()))}" / "job.py"
        path.parent.mkdir()
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize(("attack", "words"), ANSWERS.values(), ids=ANSWERS)
def test_no_answer_of_a_container_runs_code_here(
    rig: Rig, script: Script, tmp_path: Path, attack: str, words: str
) -> None:
    mark = tmp_path / "mark"
    job = rig.submit(script(INTRUDER + ANSWER + attack), env={"MARK": str(mark)})
    status = job.wait(600)
    assert status.state is JobState.FAILED
    (unit,) = status.units
    assert words in (unit.message or "")
    assert (unit.message or "").isprintable()
    assert not mark.exists()
    assert [found.state for found in job.backend.list()] == [JobState.FAILED]
    job.delete()
    assert not mark.exists()


def test_modals_own_client_would_run_that_code(rig: Rig, script: Script, tmp_path: Path) -> None:
    import modal

    mark = tmp_path / "mark"
    job = rig.submit(script(INTRUDER + ANSWER + "answer(status=1, data=evil)"), env={"MARK": str(mark)})
    modal.FunctionCall.from_id(job.handle.parts[1]).get(timeout=600)
    assert mark.exists()


FORBIDDEN = """
vo, fu = os.environ["IDS"].split()
for rpc, request in [
    ("VolumeGetOrCreate", pb.VolumeGetOrCreateRequest(deployment_name="renderer-inputs")),
    ("VolumeListFiles2", pb.VolumeListFiles2Request(volume_id=vo, path="/", recursive=True)),
    ("VolumePutFiles2", pb.VolumePutFiles2Request(volume_id=vo)),
    ("VolumeRemoveFile2", pb.VolumeRemoveFile2Request(volume_id=vo, path="inputs", recursive=True)),
    ("SecretGetOrCreate", pb.SecretGetOrCreateRequest(deployment_name="mine")),
    ("FunctionMap", pb.FunctionMapRequest(function_id=fu)),
    ("AppCreate", pb.AppCreateRequest(description="mine")),
]:
    try:
        send(rpc, request)
        print(rpc, "WORKED")
    except GRPCError as error:
        print(rpc, error.status.name)
"""


def test_a_job_cannot_use_modals_api(rig: Rig, fake: FakeModal, script: Script) -> None:
    rig.submit(script("print(1)\n")).wait(600)
    volume, function = fake.state.volumes["renderer-inputs"], next(iter(fake.state.functions))
    job = rig.submit(script(INTRUDER + FORBIDDEN), env={"IDS": f"{volume} {function}"})
    assert job.wait(600).state is JobState.SUCCEEDED
    said = dict(line.text.split() for line in job.logs())
    assert len(said) == 7
    assert set(said.values()) == {"PERMISSION_DENIED"}
    assert said.keys() <= set(fake.state.refused)


def test_a_job_sees_its_own_folders_only_and_cannot_write_its_inputs(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    write = "import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('mine')\n"
    other = rig.submit(script(write))
    other.wait(600)
    attack = f"""
import os
from pathlib import Path
print(sorted(str(path) for path in Path("/mnt/renderer").rglob("*") if path.name != "log.txt"))
for name in ("task.json", "bundle.tar.gz", "new", "withdrawn"):
    try:
        Path("{INPUTS_MOUNT}", name).write_bytes(b"evil")
    except OSError as error:
        print(error.strerror)
"""
    job = rig.submit(script(attack))
    assert job.wait(600).state is JobState.SUCCEEDED
    seen, *refused = [line.text for line in job.logs()]
    assert refused == ["Read-only file system"] * 4
    names = {"inputs", "inputs/task.json", "inputs/bundle.tar.gz", "outputs", "outputs/0"}
    names |= {"inputs/renderer-worker", "outputs/attempts", "outputs/attempts/0"}
    assert set(eval(seen)) == {f"/mnt/renderer/{name}" for name in names}  # noqa: S307  # our own words
    assert [file.read_text() for file in other.fetch(tmp_path / "out")] == ["mine"]
    folders = [fake.mounted(item.handle.parts[1], OUTPUTS_MOUNT) for item in (other, job)]
    assert folders[0] != folders[1]


@pytest.mark.parametrize("name", ["task.json", "bundle.tar.gz"])
def test_inputs_that_were_replaced_are_not_used(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path, name: str
) -> None:
    mark = tmp_path / "mark"
    good, evil = (f"open({str(mark)!r}, 'a').write('{who}')\n" for who in ("good", "evil"))
    with fake.faults(no_capacity=True):
        victim, other = rig.submit(script(good)), rig.submit(script(evil))
        mine, theirs = (fake.mounted(job.handle.parts[1], INPUTS_MOUNT) / name for job in (other, victim))
        if name == "task.json":
            theirs.write_bytes(theirs.read_bytes().replace(b"job.py", b"bob.py"))  # of the same size
        else:
            theirs.write_bytes(mine.read_bytes())
    status = victim.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.INPUT)
    assert f"gone or damaged: {name} is not what was uploaded" in (status.units[0].message or "")
    assert other.wait(600).state is JobState.SUCCEEDED
    assert mark.read_text() == "evil"  # once, by its own job


def test_results_that_were_planted_for_other_calls_are_not_taken(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    plant = "import os\nfor name in os.environ['NAMES'].split():\n    os.makedirs('/mnt/renderer/outputs/' + name)\n"
    rig.submit(script(plant), env={"NAMES": "5/files jobs/x/0 ../../x"}).wait(600)
    volume = fake.volume("renderer")
    for call in range(200):  # the ids of the next calls, which an intruder could guess
        folder = volume / "jobs" / f"fc-{call:022d}" / "0"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text("{}")
    job = rig.submit(script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('mine')\n"))
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [file.read_text() for file in job.fetch(tmp_path / "out")] == ["mine"]


FILES = "/mnt/renderer/outputs/0/files"
OUTPUTS = {
    "a sparse file": (f"open('{FILES}/big', 'wb').truncate(2**40)", "larger than"),
    "many files": (f"for n in range(60): open(f'{FILES}/{{n}}', 'w').close()", "more than 50 files"),
    "an escape in a name": (f"open('{FILES}/a\\x1b[31m', 'w').close()", "control characters"),
    "a backslash": (f"open('{FILES}/a\\\\b', 'w').close()", "backslash"),
}


@pytest.mark.parametrize(("attack", "words"), OUTPUTS.values(), ids=OUTPUTS)
def test_a_download_is_bounded_and_its_names_are_checked(
    rig: Rig, script: Script, tmp_path: Path, attack: str, words: str
) -> None:
    late = f"import os\nos.mkdir('{FILES}')\n{attack}\n"
    job = rig.submit(script(late + "import signal\nos.kill(os.getppid(), signal.SIGKILL)\n"), output_files=50)
    assert job.wait(600).state is JobState.FAILED
    with pytest.raises(OutputError, match=words) as caught:
        job.fetch(tmp_path / "out")
    assert str(caught.value).isprintable()
    assert not (tmp_path / "out").exists()
    assert [found.state for found in job.backend.list()] == [JobState.FAILED]


def test_links_and_files_of_other_units_are_not_downloaded(rig: Rig, script: Script, tmp_path: Path) -> None:
    attack = f"import os\nos.mkdir('{FILES}')\nos.symlink('/etc/passwd', '{FILES}/link')\n"
    job = rig.submit(
        script(attack + f"os.makedirs('{OUTPUTS_MOUNT}/1/files')\nopen('{OUTPUTS_MOUNT}/1/files/x', 'w').close()\n")
    )
    job.wait(600)
    into = tmp_path / "raw"
    into.mkdir()
    job.backend.fetch(job.handle, into)
    assert sorted(path.name for path in into.iterdir()) == ["0"]
    assert not [path for path in into.rglob("*") if path.name == "link" or path.is_symlink()]


@pytest.mark.parametrize("content", ['["x"]', "{", "x" * 5_000_000], ids=["list", "cut", "large"])
def test_a_damaged_result_on_the_volume_is_that_units_failure_alone(
    rig: Rig, fake: FakeModal, script: Script, content: str
) -> None:
    other = rig.submit(script("print(2)\n"))
    job = rig.submit(script("print(1)\n"))
    until(lambda: all(fake.state.calls[each.handle.parts[1]].inputs[0].output for each in (job, other)))
    (fake.mounted(job.handle.parts[1], OUTPUTS_MOUNT) / "0/result.json").write_text(content)
    fake.expire(job.handle.parts[1])
    assert {found.handle: found.state for found in job.backend.list()} == {
        job.handle: JobState.FAILED,
        other.handle: JobState.SUCCEEDED,
    }
    job.delete()


def test_forged_lines_of_the_log_are_text(rig: Rig, script: Script) -> None:
    attack = (
        "print('9' * 5000 + '| x\\n7| y', flush=True)\n"
        "import os\npid = os.getppid()\npid = int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
        "with open(f'/proc/{pid}/fd/1', 'w') as out: out.write('9' * 5000 + '| raw\\n7| raw\\n')\n"
    )
    job = rig.submit(script(attack))
    job.wait(600)
    assert {line.unit for line in job.logs()} == {0}
    assert job.status().state is JobState.SUCCEEDED


class Piece:
    source, context_ids = "stdout", ["in-1", "ta-1"]

    def __init__(self, message: str) -> None:
        self.message = message


def test_a_line_without_end_is_cut() -> None:
    (line,) = join_lines((Piece("x" * 1000) for _ in range(20_000)), 1, Limits(line=10_000))
    assert line.text == "x" * 10_000 + " … (the line is longer)"


@given(st.lists(st.text(alphabet="01|x \n\r\u0665"), max_size=20))
def test_no_log_names_a_unit_that_is_not_there(messages: list[str]) -> None:
    assert {line.unit for line in join_lines([Piece(text) for text in messages], 2, Limits())} <= {0, 1}


GOOD = {"exit_code": 10, "message": "m", "hint": None, "details": None, "attempt": 1, "seconds": 1.5}


def cbor(text: str) -> bytes:
    return b"\x7a" + len(text.encode()).to_bytes(4, "big") + text.encode()


def test_the_answer_of_the_function_is_read() -> None:
    end = decode_answer(cbor(json.dumps(GOOD)))
    assert (end.exit_code, end.attempt, end.seconds) == (10, 1, 1.5)
    assert end == decode_exception("renderer: " + json.dumps(GOOD))
    assert decode_exception("ValueError: renderer") is None


@pytest.mark.parametrize(
    "change",
    [
        *({"exit_code": value} for value in (256, -1, True, "0", None)),
        *({"attempt": value} for value in (0, 10**9, 1.5)),
        *({"seconds": value} for value in (-1, 1e300, None, True)),
        {"message": 1},
        {"hint": ["x"]},
    ],
    ids=str,
)
def test_a_value_that_the_function_never_returns_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ResultError, match="is damaged"):
        decode_answer(cbor(json.dumps({**GOOD, **change})))


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(
    st.binary() | st.text().map(cbor) | st.dictionaries(st.sampled_from(list(GOOD)), _JSON).map(json.dumps).map(cbor)
)
def test_no_answer_raises_anything_else(data: bytes) -> None:
    try:
        decode_answer(data)
    except ResultError:
        return
    finally:
        decode_loss(data)


def test_the_loss_of_a_shard_is_read() -> None:
    loss = {"status": "TIMEOUT", "text": "late", "raised": False, "seconds": 2, "attempt": 3}
    found = decode_loss(cbor(json.dumps(loss)))
    assert found
    assert (found[0].status, found[0].text, *found[1:]) == ("TIMEOUT", "late", 2.0, 3)
    for change in ({"status": 1}, {"text": 1}, {"seconds": -1}, {"attempt": 0}):
        assert decode_loss(cbor(json.dumps({**loss, **change}))) is None
    assert decode_loss(cbor(json.dumps(GOOD))) is None


def test_untrusted_jobs_have_a_function_without_network(rig: Rig, fake: FakeModal, script: Script) -> None:
    rig.submit(script("print(1)\n")).wait(600)
    fake.state.requests.clear()
    job = rig.submit(script("print(2)\n"), untrusted=True)
    assert job.wait(600).state is JobState.SUCCEEDED
    (create,) = fake.sent(pb.FunctionCreateRequest)
    function = create.function
    assert (function.block_network, function.untrusted, function.single_use_containers) == (True, True, True)
    assert list(function.supported_output_formats) == [pb.DATA_FORMAT_CBOR]
    assert not function.secret_ids
    (bound,) = fake.sent(pb.FunctionBindParamsRequest)
    assert not bound.function_options.secret_ids
    assert [mount.read_only for mount in bound.function_options.volume_mounts] == [True, False]


@pytest.mark.parametrize("more", [{"modal.secrets": "mine"}, {"packages": "scipy"}, {"env": {"KEY": "x"}}], ids=str)
def test_what_an_untrusted_job_must_not_have_is_refused_before_anything_is_sent(
    rig: Rig, fake: FakeModal, script: Script, more: dict[str, object]
) -> None:
    with pytest.raises(SpecError, match="untrusted") as caught:
        rig.submit(script("print(1)\n"), untrusted=True, **more)
    assert caught.value.hint
    assert not fake.rpcs()
