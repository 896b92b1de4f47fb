"""What is checked before an engine runs, and what is read from an engine's output."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.commands import BIN
from support.containers import image_command

from backends.errors import SpecError
from backends.files import data_dir
from backends.image.requirements import read_requirements
from backends.modal.deploy.dockerfile_rules import lint
from renderer.image.build_log import BuildLog
from renderer.image.spec import ImageSpec

ROOT = Path(__file__).parent.parent.parent


def tag(*options: str) -> str:
    done = image_command("tag", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_tag_names_the_content() -> None:
    assert tag() == tag()
    others = [
        ("--tex", "full"),
        ("--tz", "Asia/Shanghai"),
        ("--cuda", "12.4"),
        ("--with", "einops"),
        ("--python", "3.12"),
    ]
    tags = [tag(), *(tag(*pair) for pair in others)]
    assert len(set(tags)) == len(tags)
    assert tag("--name", "ghcr.io/me/x:v1") == "ghcr.io/me/x:v1"
    assert tag("--name", "127.0.0.1:5000/x").startswith("127.0.0.1:5000/x:0.")


def test_cuda_and_the_bases_reach_the_dockerfile() -> None:
    assert ImageSpec().arguments()["BASE_IMAGE"] == "docker.io/nvidia/cuda:12.2.0-devel-ubuntu22.04"
    assert ImageSpec(cuda="12.4").arguments()["RUNTIME_IMAGE"] == "docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04"
    assert ImageSpec(cuda="12.4").arguments()["CUDA"] == "required"
    own = ImageSpec(base="a:1", cuda="none").arguments()
    assert (own["BASE_IMAGE"], own["RUNTIME_IMAGE"], own["CUDA"]) == ("a:1", "a:1", "none")


def test_an_installed_wheel_builds_the_image_of_the_checkout(tmp_path: Path) -> None:
    subprocess.run([BIN / "uv", "build", "-q", "--wheel", "--out-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    code = "from renderer.cli import run; run(['image', 'tag'])"
    env = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == tag()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "Not A Name"], "is not the name of an image"),
        (["--cuda", "11.8"], "no image for CUDA '11.8'"),
        (["--cuda", "12.4", "--base", "debian:12"], "--cuda and --base both choose the base image"),
        (["--cuda", "none"], "--cuda none needs a base image without CUDA"),
        (["--python", "3.10"], "cannot run Manim"),
        (["--tz", "Mars/Olympus"], "no time zone 'Mars/Olympus'"),
        (["--with", "./my-package"], "is not a package that can be installed"),
        (["--with", "-e ."], "is not a package that can be installed"),
        (["--requirements", "none.txt"], "cannot read the requirements 'none.txt'"),
        (["--tex", "medium"], "medium"),
        (["--engine", "dokcer"], "no container engine 'dokcer'"),
    ],
)
def test_an_impossible_image_is_refused_before_the_build(options: list[str], message: str) -> None:
    done = image_command("build", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


def test_without_an_engine_each_one_is_named_with_its_reason(tmp_path: Path) -> None:
    done = image_command("build", env={"PATH": str(tmp_path)})
    assert done.returncode == 4
    assert "docker: not installed; podman: not installed; buildah: not installed" in done.stderr
    assert "install docker with buildx, podman or buildah" in done.stderr


def test_requirements_are_joined_without_comments(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# mine\n--extra-index-url https://download.pytorch.org/whl/cu121\ntorch==2.4.0 # big\n\n")
    lines = read_requirements(["cupy-cuda12x"], file)
    assert lines == ("--extra-index-url https://download.pytorch.org/whl/cu121", "torch==2.4.0 # big", "cupy-cuda12x")
    ImageSpec(extra=lines)
    with pytest.raises(SpecError):
        ImageSpec(extra=("-r other.txt",))


def test_renderers_dockerfile_obeys_modals_builder() -> None:
    done = image_command("lint")
    assert (done.returncode, done.stdout) == (0, "")
    assert lint((data_dir("docker") / "Dockerfile").read_text()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ADD a b", "use COPY"),
        ('COPY ["a", "b"]', "without brackets"),
        ("COPY --chown=1 $FILES /x/", "write the path"),
        ("COPY <<EOF /x", "here-document"),
        ("RUN --mount=type=cache,target=/x true", "--mount"),
        ("RUN --network=none --mount=type=bind,target=/x true", "--mount"),
        ("ENV A=${B:-c}", "give an ARG a default"),
        ('ENTRYPOINT ["/start"]', 'exec "$@"'),
        ("LABEL a=b", "LABEL is not implemented"),
        ("HEALTHCHECK CMD true", "HEALTHCHECK is not implemented"),
        ("expose 80", "EXPOSE is not implemented"),
    ],
)
def test_each_rule_of_modals_builder_is_checked(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(f"# ADD is not allowed\nFROM a AS b\nRUN true \\\n    && echo ADD x y\n{line}\n")
    done = image_command("lint", "--", str(file))
    assert done.returncode == 2
    assert done.stdout.startswith(f"{file}:5: ")
    assert message in done.stdout


@pytest.mark.parametrize("line", ["COPY --from=build $A /x", "COPY a b /x/", "ENTRYPOINT []", "ENV A=${B}", "USER 1"])
def test_what_modal_builds_passes(line: str) -> None:
    assert lint(f"FROM a\n{line}\n") == []


def test_steps_are_timed_from_buildahs_output() -> None:
    seconds = iter([0.0, 5.0, 5.0, 9.0])
    log = BuildLog(now=lambda: next(seconds))
    lines = ["[1/2] STEP 1/9: FROM x", "Get:1 http://deb", "STEP 2/2: RUN apt-get install", "E: broken"]
    shown = [step for line in lines for step in log.feed(line)] + list(log.end())
    assert [(step.place, step.seconds) for step in shown] == [
        ("1/2 1/9", None),
        ("1/2 1/9", 5.0),
        ("1/1 2/2", None),
        ("1/1 2/2", 4.0),
    ]
    assert list(log.tail) == ["E: broken"]


def test_overlapping_steps_are_timed_from_recorded_buildkit_output() -> None:
    seconds = iter([0.0, 1.0, 3.0, 6.0, 7.0, 8.0])
    log = BuildLog(now=lambda: next(seconds))
    lines = [
        '#0 building with "default" instance using docker driver',
        "",
        "#7 [build 2/7] RUN apt-get update",
        "#7 0.231 Get:1 http://archive",
        "#7 ...",
        "",
        "#8 [stage-3 2/9] RUN tex",
        "#8 0.102 Reading package lists...",
        "#8 ...",
        "",
        "#7 [build 2/7] RUN apt-get update",
        "#7 DONE 3.0s",
        "",
        "#9 [build 3/7] RUN pip",
        '#8 ERROR: process "/bin/sh -c tex" did not complete successfully: exit code: 100',
        "",
        "#9 CANCELED",
        "------",
        " > [stage-3 2/9] RUN tex:",
        "4.1 E: Unable to locate package",
        "------",
        "Dockerfile:10",
        "--------------------",
        "   9 |     ARG TEX=small",
        "  10 | >>> RUN tex",
        "--------------------",
        'ERROR: failed to solve: process "/bin/sh -c tex" did not complete successfully: exit code: 100',
    ]
    shown = [step for line in lines for step in log.feed(line)]
    assert [(step.place, step.seconds) for step in shown] == [
        ("build 2/7", None),
        ("stage-3 2/9", None),
        ("build 2/7", 3.0),
        ("build 3/7", None),
        ("stage-3 2/9", 6.0),
        ("build 3/7", 2.0),
    ]
    assert [line.partition(" ")[0] for line in log.tail] == ["4.1", "ERROR:"]
    assert log.failed is not None
    assert (log.failed.place, log.failed.text) == ("stage-3 2/9", "RUN tex")
