"""What docker and Kubernetes promise for images that have nothing of renderer in them: the script runs as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.rigs.base import Rig

from backends import JobState
from backends.exit_codes import ExitCode
from renderer.api import Job

Submit = Callable[..., Job]

SCRIPT = """\
import getpass, os, pathlib, platform, shutil, sys
out = pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"])
home = pathlib.Path(os.environ["HOME"], "made at home")
home.write_text(getpass.getuser())
print(platform.python_version(), shutil.which("tar"), sys.argv[1:], pathlib.Path("data é.txt").read_text("utf-8"))
try:
    import torch
    print("torch", torch.__version__)
except ImportError:
    print("no torch")
shutil.copy(home, out / "home.txt")
if len(sys.argv) > 2:
    raise ValueError("boom")
"""


@pytest.fixture
def submit(rig: Rig, project: Path) -> Submit:
    if rig.foreign_image is None:
        pytest.skip(f"{rig.backend} has no images, or only a fake of them")
    make_image = rig.foreign_image
    path = project / "job.py"
    path.write_text(SCRIPT, "utf-8")
    (project / "data é.txt").write_text("data", "utf-8")
    return lambda kind, *arguments: rig.submit(path, arguments=arguments, image=make_image(kind))


@pytest.mark.parametrize(("kind", "words"), [("debian", "torch 2.9-of-the-image"), ("busybox", "no torch")])
def test_a_script_runs_with_the_images_own_python(submit: Submit, kind: str, words: str, tmp_path: Path) -> None:
    job = submit(kind, "a b")
    assert job.wait(600).state is JobState.SUCCEEDED, job.status()
    lines = [line.text for line in job.logs()]
    assert lines[0].startswith("3.9.")
    assert lines[0].endswith(" None ['a b'] data")
    assert lines[1] == words
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["home.txt"]
    failed = submit(kind, "a b", "c").wait(600)
    assert failed.units[0].message == "job.py ended with exit code 1"
    assert "ValueError: boom" in str(failed.units[0].details)


def test_a_script_runs_with_a_python_of_musl(submit: Submit, tmp_path: Path) -> None:
    if "MUSL_FOR_TESTS" not in os.environ:
        pytest.skip("MUSL_FOR_TESTS is not set: compiling a Python with musl takes minutes")
    job = submit("musl", "a b")
    assert job.wait(600).state is JobState.SUCCEEDED, job.status()
    assert next(iter(job.logs())).text.endswith(" None ['a b'] data")
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["home.txt"]
    failed = submit("musl", "a b", "c").wait(600)
    assert "ValueError: boom" in str(failed.units[0].details)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("none", "this image has no Python that can run here"),
        ("old", "this image's Python is 2.7, and 3.8 or newer is needed"),
        ("shell", "this image has no shell"),
        ("arm64", "this image is for another kind of processor than the machine's"),
    ],
)
def test_what_an_image_lacks_is_said_in_one_sentence(submit: Submit, kind: str, words: str) -> None:
    status = submit(kind).wait(600)
    assert status.state is JobState.FAILED
    assert words in str(status.units[0].message or status.reason)
    assert status.exit_code != ExitCode.INTERNAL
    if kind in {"shell", "arm64"}:
        assert "use an image that" in str(status.units[0].hint or status.hint)
