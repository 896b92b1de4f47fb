"""What reaches Modal: at the first submit, at later ones, and what never does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from modal_proto import api_pb2 as pb
from support.commands import environment, renderer
from support.modal_server import FakeModal
from support.rigs.base import Rig

from backends import JobState
from backends.modal.request import app_name

Script = Callable[[str], Path]


def test_the_first_submit_deploys_an_a10g_function(fresh: FakeModal, tmp_path: Path, script: Script) -> None:
    job = Rig("modal", {"modal.state_dir": tmp_path / "jobs"}).submit(script("print(1)\n"))
    (create,) = fresh.sent(pb.FunctionCreateRequest)
    function = create.function
    assert (function.resources.gpu_config.gpu_type, function.resources.gpu_config.count) == ("A10G", 1)
    assert (function.resources.milli_cpu, function.resources.memory_mb) == (4000, 8192)
    assert (function.timeout_secs, function.retry_policy.retries) == (3660, 0)
    assert (function.function_name, function.module_name) == ("render", "render_function")
    assert not function.volume_mounts
    assert not function.secret_ids
    assert (function.untrusted, function.single_use_containers, function.block_network) == (True, True, False)
    assert list(create.function.supported_output_formats) == [pb.DATA_FORMAT_CBOR]
    (bound,) = fresh.sent(pb.FunctionBindParamsRequest)
    inputs, outputs = bound.function_options.volume_mounts
    assert (inputs.mount_path, inputs.read_only) == ("/mnt/renderer/inputs", True)
    assert (outputs.mount_path, outputs.read_only) == ("/mnt/renderer/outputs", False)
    assert inputs.volume_id != outputs.volume_id
    assert re.fullmatch("/inputs/[0-9a-f]{32}", inputs.sub_path)
    assert outputs.sub_path == inputs.sub_path.replace("inputs", "jobs")
    (publish,) = fresh.sent(pb.AppPublishRequest)
    assert publish.name == app_name()
    assert job.wait(600).state is JobState.SUCCEEDED


def test_the_image_is_the_shared_dockerfile(fresh: FakeModal, tmp_path: Path, script: Script) -> None:
    Rig("modal", {"modal.state_dir": tmp_path / "jobs"}).submit(script("print(1)\n")).wait(600)
    dockerfile = (Path(__file__).parents[3] / "docker" / "Dockerfile").read_text().splitlines()
    images = [list(request.image.dockerfile_commands) for request in fresh.sent(pb.ImageGetOrCreateRequest)]
    assert [line for line in images[0] if line] == [line for line in dockerfile if line]
    sent = {file.filename for request in fresh.sent(pb.MountGetOrCreateRequest) for file in request.files}
    assert "/root/render_function.py" in sent
    assert {name for name in sent if name.startswith("/root/")} == {"/root/render_function.py"}
    assert {"/docker/requirements.txt", "/backends/worker_protocol.py", "/renderer/worker/main.py"} <= sent
    assert not [name for name in sent if name in {"/job.py", "/root/job.py"} or "my project" in name]


def test_a_second_submit_builds_and_uploads_nothing(rig: Rig, fake: FakeModal, script: Script) -> None:
    path = script("print('the same')\n")
    rig.submit(path).wait(600)
    fake.state.requests.clear()
    stored = {path.name for path in fake.state.path("blocks").iterdir()}
    rig.submit(path).wait(600)
    rpcs = fake.rpcs()
    assert not {"ImageGetOrCreate", "FunctionCreate", "AppPublish", "MountPutFile"} & set(rpcs)
    assert rpcs[: rpcs.index("FunctionMap") + 1] == [
        "VolumeGetOrCreate",
        "VolumeGetOrCreate",
        "AppGetOrCreate",
        "AppGetTags",
        "VolumeGetOrCreate",
        "VolumePutFiles2",  # names alone: the volume has the content already
        "FunctionGet",
        "FunctionBindParams",
        "FunctionMap",
    ]
    (record,) = {path.name for path in fake.state.path("blocks").iterdir()} - stored
    assert b'"name": "job"' in fake.state.path("blocks", record).read_bytes()


def test_options_of_a_job_are_bound_without_deploying(rig: Rig, fake: FakeModal, script: Script) -> None:
    rig.submit(script("print(1)\n")).wait(600)
    fake.state.requests.clear()
    more = {"modal.region": "us-east,eu", "modal.max_containers": 3}
    rig.submit(script("print(1)\n"), gpu="L4:2", cpu=8, memory="16Gi", timeout="10m", retries=2, **more).wait(600)
    (bound,) = fake.sent(pb.FunctionBindParamsRequest)
    options = bound.function_options
    assert (options.resources.gpu_config.gpu_type, options.resources.gpu_config.count) == ("L4", 2)
    assert (options.resources.milli_cpu, options.resources.memory_mb) == (8000, 16384)
    assert (options.timeout_secs, options.retry_policy.retries, options.concurrency_limit) == (660, 2, 3)
    assert list(options.scheduler_placement.regions) == ["us-east", "eu"]
    assert not fake.sent(pb.FunctionCreateRequest)


def test_several_gpus_are_deployed_in_their_order(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("print(1)\n"), gpu="L4,T4,A10G")
    (create,) = fake.sent(pb.FunctionCreateRequest)
    ranked = {item.rank: item.function.resources.gpu_config.gpu_type for item in create.function_data.ranked_functions}
    assert ranked == {0: "L4", 1: "T4", 2: "A10G"}
    assert job.wait(600).state is JobState.SUCCEEDED


def test_an_image_of_a_registry_keeps_its_python_and_gets_the_packages(
    fresh: FakeModal, tmp_path: Path, script: Script
) -> None:
    fresh.state.named_secrets["my-registry"] = {"REGISTRY_USERNAME": "me", "REGISTRY_PASSWORD": "hunter2"}
    (tmp_path / "needs.txt").write_text("tabulate==0.9.0\n")
    settings = {
        "modal.state_dir": tmp_path / "jobs",
        "packages": "iniconfig==2.1.0",
        "requirements": tmp_path / "needs.txt",
        "modal.registry_secret": "my-registry",
    }
    image = "nvidia/cuda:12.4.1-devel-ubuntu22.04"
    assert Rig("modal", settings).submit(script("print(1)\n"), image=image).wait(600).state is JobState.SUCCEEDED
    commands = [line for sent in fresh.sent(pb.ImageGetOrCreateRequest) for line in sent.image.dockerfile_commands]
    assert f"FROM {image}" in commands
    assert not any("python-standalone" in line or "COPY /python/" in line for line in commands)  # it has its own
    assert any("this image has no Python: --modal-python 3.11 adds one" in line for line in commands)
    assert any("renderer.worker.packages </opt/requirements.txt" in line for line in commands)
    sent = {file.filename: file for sent in fresh.sent(pb.MountGetOrCreateRequest) for file in sent.files}
    listed = next(file for name, file in sent.items() if name.endswith("requirements.txt"))
    text = fresh.state.path("files", listed.sha256_hex).read_text()
    assert text == "tabulate==0.9.0\niniconfig==2.1.0\n"
    assert "my-registry" in [secret.deployment_name for secret in fresh.sent(pb.SecretGetOrCreateRequest)]


def test_a_changed_dockerfile_that_modal_cannot_build_is_named_by_its_line(fresh: FakeModal, tmp_path: Path) -> None:
    from backends.errors import BackendError
    from backends.modal.deploy.image import check_dockerfile

    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM ubuntu\nADD a /a\n")
    with pytest.raises(BackendError, match="line 2 of docker/Dockerfile: ADD uploads nothing"):
        check_dockerfile(tmp_path)
    assert fresh.rpcs() == []


@pytest.fixture
def git_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    author = ["-c", "user.name=Secret Person", "-c", "user.email=secret@example.com"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / "job.py").write_text("print(1)\n")
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run(["git", *author, "commit", "-q", "-m", "secret"], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://example.com/secret.git"], cwd=folder, check=True)
    return folder


def test_nothing_of_the_users_git_or_credentials_is_sent(fresh: FakeModal, git_folder: Path, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", **fresh.environment, GIT_DIR=str(git_folder / ".git"))
    env["GIT_WORK_TREE"] = str(git_folder)
    done = renderer("submit", "job.py", "--backend", "modal", "--detach", cwd=git_folder, env=env)
    assert done.returncode == 0, done.stderr
    (app,) = fresh.state.apps.values()
    assert app.commit_info is None
    everything = b"".join(message.SerializeToString() for _, message in fresh.state.requests)
    stored = b"".join(path.read_bytes() for path in fresh.state.folder.rglob("*") if path.is_file())
    for secret in (b"Secret Person", b"secret@example.com", b"secret.git", b"as-fake"):
        assert secret not in everything + stored
    assert {"GIT_DIR", "GIT_WORK_TREE"} <= env.keys()
    assert os.environ["MODAL_TOKEN_SECRET"] not in done.stdout + done.stderr


def test_secrets_of_modal_reach_the_users_code_and_nothing_else(
    rig: Rig, fake: FakeModal, script: Script, tmp_path: Path
) -> None:
    fake.state.named_secrets["mine"] = {"FROM_SECRET": "hunter2"}
    path = script(
        "import os\nprint(os.environ['FROM_SECRET'][::-1], [k for k in os.environ if k.startswith('MODAL')])\n"
    )
    job = rig.submit(path, **{"modal.secrets": "mine"})
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in job.logs()] == ["2retnuh []"]
    assert all("hunter2" not in file.read_text() for file in (tmp_path / "jobs").iterdir())


def test_a_large_environment_goes_through_a_blob(rig: Rig, fake: FakeModal, script: Script) -> None:
    job = rig.submit(script("import os\nprint(len(os.environ['BIG']))\n"), env={"BIG": "x" * 100_000})
    assert job.wait(600).state is JobState.SUCCEEDED
    assert fake.sent(pb.BlobCreateRequest)
    assert [line.text for line in job.logs()] == ["100000"]
