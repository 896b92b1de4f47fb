"""What only the docker backend does; tests/contract has what it shares with the others. No test uses a GPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.commands import environment, renderer
from support.processes import until
from support.rigs.base import Rig, make_foreign_image
from support.rigs.docker import OPTIONS, docker
from support.rigs.package_index import serve_index

from backends import JobState
from renderer.api import submit

pytestmark = pytest.mark.containers
SCRIPT = "import os, pathlib\npathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'uid').write_text(str(os.getuid()))\n"


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    with docker(tmp_path_factory.mktemp("docker jobs")) as ready:
        return ready


def script(folder: Path, text: str) -> Path:
    path = folder / "job.py"
    path.write_text(text)
    return path


def containers() -> str:
    listed = ["podman", "ps", "--all", "--format", "{{.Names}}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout


def test_outputs_belong_to_the_caller_in_a_folder_with_spaces(rig: Rig, tmp_path: Path) -> None:
    job = rig.submit(script(tmp_path, SCRIPT))
    assert job.wait(600).state is JobState.SUCCEEDED
    (file,) = job.fetch(tmp_path / "out")
    assert file.read_text() == str(os.getuid())
    assert file.stat().st_uid == os.getuid()


def test_a_script_that_does_not_find_cuda_is_told_what_to_do(rig: Rig, tmp_path: Path) -> None:
    job = rig.submit(script(tmp_path, "import ctypes\nctypes.CDLL('libnvrtc.so.12')\n"))
    (unit,) = job.wait(600).units
    assert "libnvrtc.so.12: cannot open shared object file" in str(unit.details)
    assert "use an image on NVIDIA's base" in str(unit.hint)


def test_a_cancelled_job_leaves_no_container(rig: Rig, tmp_path: Path) -> None:
    job = rig.submit(script(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(600)\n"))
    until(lambda: any(line.text == "up" for line in job.logs()))
    name = f"renderer-{job.handle.parts[0]}"
    assert name in containers()
    job.cancel()
    assert job.status().state is JobState.CANCELLED
    assert name not in containers()


def test_a_killed_supervisor_takes_its_container_along(rig: Rig, tmp_path: Path) -> None:
    job = rig.submit(script(tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(600)\n"))
    until(lambda: any(line.text == "up" for line in job.logs()))
    (name,) = job.handle.parts
    os.kill(int((rig.settings["docker.state_dir"] / name / "pid").read_text()), signal.SIGKILL)
    until(lambda: f"renderer-{name}" not in containers())
    assert job.status().state is JobState.FAILED


def test_what_an_option_forbids_is_told_in_the_engines_words(rig: Rig, tmp_path: Path) -> None:
    wrong = {"docker.options": "--cgroup-manager=cgroupfs --runtime=runc --network=no-such-network"}
    status = rig.submit(script(tmp_path, SCRIPT), **wrong).wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, 4)
    assert "the container did not start: " in str(status.reason)
    assert "no-such-network" in str(status.reason)


def run(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    script(folder, SCRIPT)
    words = ["submit", "job.py", "--backend", "docker", *options]
    return renderer(*words, cwd=folder, env=environment(folder / "home", **env))


@pytest.mark.parametrize(
    ("options", "engine", "code", "message"),
    [
        ([], "podman", 4, "podman has no image docker.io/manimcommunity/manim:v"),
        ([], "podman", 4, "in Manim's own image, docker.io/manimcommunity/manim:v"),
        (["--image", "localhost/none:1"], "podman", 4, "podman has no image localhost/none:1"),
        (["--image", "x", "--store", "s3://b"], "podman", 2, "the docker backend does not use --store"),
        (["--image", "x"], "lxc", 2, "docker"),
    ],
)
def test_what_cannot_run_is_refused_and_nothing_is_left(
    options: list[str], engine: str, code: int, message: str, tmp_path: Path
) -> None:
    done = run(tmp_path, *options, RENDERER_DOCKER_ENGINE=engine)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert not list((tmp_path / "home").rglob("job.json"))


def test_an_engine_that_is_not_there_is_named_with_the_other_one(tmp_path: Path) -> None:
    done = run(tmp_path, "--image", "x", PATH=str(tmp_path))
    assert done.returncode == 4
    assert "docker cannot run containers here: it is not installed" in done.stderr
    assert "RENDERER_DOCKER_ENGINE=podman" in done.stderr


@pytest.mark.parametrize(
    ("engine", "gpu", "words"),
    [
        ("docker", "L4:2", '"--gpus",\n    "2"'),
        ("podman", "1", '"--device",\n    "nvidia.com/gpu=0"'),
        ("docker", "none", "NVIDIA_VISIBLE_DEVICES=void"),
    ],
)
def test_gpus_are_asked_for_in_the_engines_words(engine: str, gpu: str, words: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--image", "x", "--gpu", gpu, "--dry-run", RENDERER_DOCKER_ENGINE=engine)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


SCENE = """\
import os
from manim import RIGHT, Circle, Scene, Square

if os.path.exists("/job"):  # in the container
    assert not [key for key in os.environ if key.startswith("AWS_") or "CACHE_SOCKET" in key]


class Two(Scene):
    def construct(self):
        self.play(Square().animate.shift(RIGHT), run_time=0.5)
        self.play(Circle(radius=float(os.environ.get("RADIUS", "1"))).animate.shift(RIGHT), run_time=0.5)
"""


def test_containers_without_network_and_this_machine_share_a_cache(rig: Rig, tmp_path: Path) -> None:
    film = script(tmp_path, SCENE)
    small: dict[str, Any] = {"resolution": "160x90", "fps": 10, "cache": f"file://{tmp_path}/shared"}
    for number, (backend, radius, cached) in enumerate([("docker", "1", 0), ("docker", "2", 5), ("local", "2", 10)]):
        more = {**(rig.settings if backend == "docker" else {}), **small, "env": {"RADIUS": radius}}
        job = submit(film, "Two", backend=backend, **more)
        assert job.wait(600).state is JobState.SUCCEEDED, [line.text for line in job.logs()]
        assert not [line.text for line in job.logs() if "shared cache" in line.text]
        (tmp_path / str(number)).mkdir()
        job.backend.fetch(job.handle, tmp_path / str(number))
        result = json.loads((tmp_path / str(number) / "0" / "result.json").read_text())
        assert (result["render"]["cached"], result["render"]["frames"]) == (cached, 10)


def test_packages_are_installed_beside_those_of_the_image(rig: Rig, tmp_path: Path) -> None:
    path = script(tmp_path, "import numpy, probe\nprint(probe.ORIGIN)\n")
    requirements = tmp_path / "needs.txt"
    with serve_index(tmp_path / "index") as port:
        requirements.write_text(f"--index-url http://127.0.0.1:{port}\nprobe\n")
        networked = {"docker.options": OPTIONS.replace("--network=none", "--network=host")}
        job = rig.submit(path, requirements=str(requirements), **networked)
        assert job.wait(600).state is JobState.SUCCEEDED, job.status()
    assert [line.text for line in job.logs()][-1] == "the index"
    for image, words in (
        (rig.settings["image"], "the job has no network to their index"),
        (make_foreign_image("debian"), "there is neither uv nor pip here"),
    ):
        (unit,) = rig.submit(path, requirements=str(requirements), image=image).wait(600).units
        assert words in str(unit.message)
        assert "renderer image build --with" in str(unit.message)
