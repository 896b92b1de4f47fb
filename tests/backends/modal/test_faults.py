"""What can go wrong at Modal, caused by the fake server, and the messages for the user."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grpclib import Status
from support.modal_server import FakeModal
from support.processes import alive, until
from support.rigs.base import Rig

from backends import JobState
from backends.errors import BackendError, JobNotFoundError, OutputError, TransientError
from backends.exit_codes import ExitCode
from backends.modal.backend import ModalBackend
from backends.modal.request import OUTPUTS_MOUNT
from renderer.api import Job

Script = Callable[[str], Path]
HANGS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
with open(os.environ["PIDS"], "a") as pids:
    pids.write(f"{os.getpid()} {child.pid}\\n")
if len(open(os.environ["PIDS"]).readlines()) == int(os.environ.get("LAST", "0")):
    child.kill()
    sys.exit()
print("openjd_progress: 10", flush=True)
time.sleep(600)
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


def hanging(rig: Rig, script: Script, pids: Path, **more: object) -> Job:
    """Submit a script that hangs and ignores SIGTERM; on its try LAST it ends well."""
    env = {"PIDS": str(pids), "LAST": str(more.pop("last", 0))}
    job = rig.submit(script(HANGS), env=env, **more)
    until(lambda: job.status().units[0].progress == 10)
    return job


def call_of(job: Job) -> str:
    """Return the id of a job's call."""
    return job.handle.parts[1]


def gone(pids: Path) -> bool:
    """Return whether every process that wrote its id into the file has ended."""
    return not pids.exists() or not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_lost_container_is_said_to_be_lost(rig: Rig, fake: FakeModal, script: Script, pids: Path) -> None:
    job = hanging(rig, script, pids)
    fake.lose(call_of(job))
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.LOST)
    assert "the container at Modal was lost" in (status.units[0].message or "")
    assert "--memory" in (status.units[0].hint or "")
    until(lambda: gone(pids))


def test_a_lost_container_is_replaced_while_retries_are_left(
    rig: Rig, fake: FakeModal, script: Script, pids: Path
) -> None:
    job = hanging(rig, script, pids, last=2, retries=1)
    fake.lose(call_of(job))
    status = job.wait(600)
    assert (status.state, status.units[0].attempt) == (JobState.SUCCEEDED, 2)


def test_preemption_starts_the_same_input_again_without_a_retry(
    rig: Rig, fake: FakeModal, script: Script, pids: Path
) -> None:
    job = hanging(rig, script, pids, last=2)
    fake.preempt(call_of(job))
    assert job.wait(600).state is JobState.SUCCEEDED
    assert len(pids.read_text().splitlines()) == 2
    assert fake.state.calls[call_of(job)].inputs[0].retries == 0
    until(lambda: gone(pids))


def test_modals_own_time_limit_is_told(rig: Rig, fake: FakeModal, script: Script, pids: Path) -> None:
    rig.submit(script("print(1)\n"), cpu=3).wait(600)
    with fake.faults(no_capacity=True):
        job = rig.submit(script(HANGS), env={"PIDS": str(pids)}, cpu=3)
        fake.state.calls[call_of(job)].function.definition.timeout_secs = 3
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.TIMEOUT)
    assert "longer than --timeout" in (status.units[0].message or "")
    until(lambda: gone(pids))


def made_earlier(record: Path, by: timedelta) -> None:
    """Make a job look older."""
    content = json.loads(record.read_text())
    content["created"] = (datetime.fromisoformat(content["created"]) - by).isoformat()
    record.write_text(json.dumps(content))


def test_a_job_that_waits_says_for_what_and_can_be_cancelled(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    with fake.faults(no_capacity=True):
        job = rig.submit(script("print(1)\n"))
        status = job.status()
        assert (status.state, status.reason) == (JobState.PENDING, "waiting for A10G at Modal")
        made_earlier(tmp_path / "jobs" / f"{call_of(job)}.json", timedelta(seconds=40))
        status = job.status()
        waited = re.fullmatch(r"waiting for A10G at Modal for (\d+) s", status.reason or "")
        assert waited
        assert int(waited[1]) >= 40
        assert status.hint == "another GPU may be free: --gpu A10G,L4,T4"
        job.cancel()
        assert job.status().state is JobState.CANCELLED


def test_cancel_ends_the_worker_and_all_its_children(rig: Rig, script: Script, pids: Path) -> None:
    job = hanging(rig, script, pids)
    job.cancel()
    status = job.status()
    assert (status.state, status.exit_code) == (JobState.CANCELLED, ExitCode.CANCELLED)
    until(lambda: gone(pids))


def test_cancelling_a_job_that_is_done_changes_nothing(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    path = script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('x')\n")
    job = rig.submit(path)
    until(lambda: fake.state.calls[call_of(job)].inputs[0].output is not None)
    job.cancel()
    assert job.status().state is JobState.SUCCEEDED
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["o.txt"]
    assert "FunctionCallCancel" not in fake.rpcs()


def test_a_container_that_does_not_hear_is_killed(rig: Rig, fake: FakeModal, script: Script, pids: Path) -> None:
    job = hanging(rig, script, pids)
    with fake.faults(ignores_cancel=True):
        job.cancel()
    assert job.status().state is JobState.CANCELLED
    until(lambda: gone(pids))


def test_a_call_cancelled_elsewhere_is_seen_as_cancelled(rig: Rig, fake: FakeModal, script: Script, pids: Path) -> None:
    import modal

    job = hanging(rig, script, pids)
    modal.FunctionCall.from_id(call_of(job)).cancel()
    assert job.wait(600).state is JobState.CANCELLED
    assert "FunctionCallCancel" in fake.rpcs()


def test_a_result_that_has_expired_leaves_the_files(rig: Rig, fake: FakeModal, script: Script, tmp_path: Path) -> None:
    path = script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/out.txt', 'w').write('kept')\n")
    job = rig.submit(path)
    until(lambda: fake.state.calls[call_of(job)].inputs[0].output is not None)
    fake.expire(call_of(job))
    assert job.status().state is JobState.SUCCEEDED
    assert [file.read_text() for file in job.fetch(tmp_path / "out")] == ["kept"]


def test_a_result_that_has_expired_with_its_files_is_told(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("print(1)\n"))
    until(lambda: fake.state.calls[call_of(job)].inputs[0].output is not None)
    fake.expire(call_of(job))
    shutil.rmtree(fake.mounted(call_of(job), OUTPUTS_MOUNT))
    status = job.status()
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.LOST)
    assert "expired" in (status.units[0].message or "")


def test_a_result_that_was_seen_does_not_expire(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("print(1)\n"))
    job.wait(600)
    fake.expire(call_of(job))
    assert job.status().state is JobState.SUCCEEDED


def test_a_cut_upload_is_sent_again(rig: Rig, fake: FakeModal, script: Script, project: Path) -> None:
    (project / "data.bin").write_bytes(os.urandom(300_000))
    with fake.faults(cut_uploads=2):
        job = rig.submit(script("import os\nprint(os.path.getsize('data.bin'))\n"))
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in job.logs()] == ["300000"]


def test_a_cut_download_is_fetched_again(rig: Rig, fake: FakeModal, script: Script, tmp_path: Path) -> None:
    path = script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/big.bin', 'wb').write(bytes(9_000_000))\n")
    job = rig.submit(path)
    assert job.wait(600).state is JobState.SUCCEEDED
    with fake.faults(cut_downloads=2):
        (file,) = job.fetch(tmp_path / "out")
    assert file.stat().st_size == 9_000_000


def test_submitting_twice_makes_two_jobs_and_one_upload(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    path = script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('x')\nprint('twice')\n")
    one, two = rig.submit(path), rig.submit(path)
    assert one.handle != two.handle
    assert fake.rpcs().count("FunctionCreate") <= 1
    assert [job.wait(600).state for job in (one, two)] == [JobState.SUCCEEDED] * 2
    one.delete()
    assert [file.name for file in two.fetch(tmp_path / "out")] == ["o.txt"]


def test_a_failed_build_names_its_step_and_leaves_nothing(fresh: FakeModal, tmp_path: Path, script: Script) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    path = script("print(1)\n")
    with fresh.faults(failing_step="useradd"), pytest.raises(BackendError, match=r"failed at: .*useradd") as caught:
        rig.submit(path)
    assert "modal image logs im-" in (caught.value.hint or "")
    assert not fresh.state.calls
    assert list((tmp_path / "jobs").iterdir()) == []
    assert rig.submit(path).wait(600).state is JobState.SUCCEEDED


def test_a_volume_that_was_removed_is_made_again(fresh: FakeModal, tmp_path: Path, script: Script) -> None:
    import modal

    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    job = rig.submit(script("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('x')\n"))
    job.wait(600)
    modal.Volume.objects.delete("renderer")
    with pytest.raises(OutputError, match="no longer on the Modal volume 'renderer'"):
        job.fetch(tmp_path / "out")
    assert "renderer" not in fresh.state.volumes
    again = rig.submit(tmp_path / "my project é" / "job.py")
    assert again.wait(600).state is JobState.SUCCEEDED
    assert [file.name for file in again.fetch(tmp_path / "out")] == ["o.txt"]


def test_a_volume_that_is_removed_while_the_job_waits_is_told(rig: Rig, fake: FakeModal, script: Script) -> None:
    import modal

    with fake.faults(no_capacity=True):
        job = rig.submit(script("print(1)\n"))
        modal.Volume.objects.delete("renderer-inputs")
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.INPUT)
    assert "the inputs on the Modal volume are gone or damaged" in (status.units[0].message or "")
    assert status.units[0].hint == "submit the job again"


def test_a_gpu_that_modal_does_not_give_is_told(rig: Rig, fake: FakeModal, script: Script) -> None:
    said = (Status.INVALID_ARGUMENT, "GPU type B200 is not available to this workspace")
    with fake.faults(fail={"FunctionBindParams": said}), pytest.raises(BackendError) as caught:
        rig.submit(script("print(1)\n"), gpu="B200")
    assert str(caught.value) == "Modal refuses: GPU type B200 is not available to this workspace"
    assert caught.value.hint == "choose another: `renderer gpus` lists them, and --gpu A10G,L4,T4 takes the first free"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (Status.RESOURCE_EXHAUSTED, TransientError, "Modal's limits are reached: slow down"),
        (Status.PERMISSION_DENIED, BackendError, "the Modal token may not do this: slow down"),
        (Status.FAILED_PRECONDITION, BackendError, "Modal refuses: slow down"),
        (Status.INVALID_ARGUMENT, BackendError, "Modal refuses: slow down"),
    ],
)
def test_what_modal_refuses_is_told_in_words(
    rig: Rig, fake: FakeModal, script: Script, status: Status, kind: type[BackendError], words: str
) -> None:
    path = script("print(1)\n")
    with fake.faults(fail={"FunctionMap": (status, "slow down")}), pytest.raises(kind) as caught:
        rig.submit(path)
    assert str(caught.value) == words
    assert caught.value.hint


def test_a_client_that_is_too_old_is_told_to_be_updated(rig: Rig, fake: FakeModal, script: Script) -> None:
    said = (Status.FAILED_PRECONDITION, "This client version is no longer supported")
    with fake.faults(fail={"AppGetOrCreate": said}), pytest.raises(BackendError, match="version of its client") as e:
        rig.submit(script("print(1)\n"))
    assert e.value.hint == "pip install -U 'manim-renderer[modal]'"


def test_a_forgotten_call_is_told_from_what_it_stored(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("print(1)\n"))
    until(lambda: fake.state.calls[call_of(job)].inputs[0].output is not None)
    del fake.state.calls[call_of(job)]
    assert [status.state for status in job.backend.list()] == [JobState.SUCCEEDED]
    assert [line.text for line in job.logs()] == ["1"]
    job.delete()
    with pytest.raises(JobNotFoundError):
        job.status()


def test_logs_that_modal_has_forgotten_come_from_the_volume(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("print('kept ✓')\n"))
    job.wait(600)
    fake.state.logs.clear()
    assert [line.text for line in job.logs()] == ["kept ✓"]


def test_another_machine_is_told_what_modal_has_forgotten_and_what_is_gone(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    import modal

    job = rig.submit(script("print('elsewhere')\n"))
    job.wait(600)
    assert isinstance(job.backend, ModalBackend)
    job.backend.calls.remove(call_of(job))
    fake.state.logs.clear()
    assert [line.text for line in job.logs()] == ["elsewhere"]
    folder = fake.mounted(call_of(job), OUTPUTS_MOUNT).name
    modal.Volume.from_name("renderer").remove_file(f"jobs/{folder}/0", recursive=True)
    with pytest.raises(OutputError, match="no longer on the Modal volume"):
        job.fetch(tmp_path / "out")


def test_outputs_that_are_gone_from_the_volume_are_told(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    import modal

    job = rig.submit(script("print(1)\n"))
    job.wait(600)
    folder = fake.mounted(call_of(job), OUTPUTS_MOUNT).name
    modal.Volume.from_name("renderer").remove_file(f"jobs/{folder}", recursive=True)
    assert "VolumeRemoveFile2" in fake.rpcs()
    with pytest.raises(OutputError, match="no longer on the Modal volume"):
        job.fetch(tmp_path / "out")


def test_a_job_is_found_from_another_machine(rig: Rig, fake: FakeModal, script: Script, tmp_path: Path) -> None:
    job = rig.submit(script("print('far')\n"), name="far")
    job.wait(600)
    there = replace(rig, settings={"modal.state_dir": tmp_path / "another"}).open(str(job.handle))
    assert (there.status().name, there.status().state) == ("far", JobState.SUCCEEDED)
    assert [line.text for line in there.logs()] == ["far"]
    job.delete()
    assert not fake.mounted(call_of(job), OUTPUTS_MOUNT).exists()
    assert list((fake.volume("renderer-inputs") / "inputs").glob(fake.mounted(call_of(job), OUTPUTS_MOUNT).name)) == []
    with pytest.raises(JobNotFoundError):
        there.status()


def test_a_state_folder_that_cannot_be_written_is_told_before_anything_is_sent(
    fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    fake.state.requests.clear()
    with pytest.raises(OutputError, match="cannot write the job's record"):
        Rig("modal", {"modal.state_dir": tmp_path / "file" / "jobs"}).submit(script("print(1)\n"))
    assert not fake.rpcs()
