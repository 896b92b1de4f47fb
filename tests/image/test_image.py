"""The image in use: as any user, on a read-only root file system, without network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.containers import IMAGE_TESTS, Podman

from renderer import api, config
from renderer.spec import RenderSpec, prepare

BOARD = IMAGE_TESTS / "scenes" / "board.py"
SMALL: dict[str, Any] = {"resolution": "640x360", "fps": 10}
WORKER = ["/usr/bin/tini", "-s", "--", "python", "-I", "-m", "renderer.worker", "--task", "/in/task.json"]
WORKER += ["--bundle", "/in/bundle.tar.gz", "--output", "/out"]


def run_worker(podman: Podman, folder: Path, *scenes: str, user: str = "10001:0", **settings: Any) -> dict[str, Any]:
    """Run the worker in the image as a backend would; return each scene's result, with the folder of its files."""
    prepared = prepare(RenderSpec(path=BOARD, scenes=scenes), config.load({**SMALL, **settings}).settings)
    inputs, outputs = folder / "in", folder / "out"
    inputs.mkdir()
    outputs.mkdir()
    outputs.chmod(0o777)
    (inputs / "task.json").write_text(prepared.job.payload)
    (inputs / "bundle.tar.gz").write_bytes(prepared.job.bundle.data)
    units = [word for unit in range(len(scenes)) for word in ("--unit", str(unit))]
    mounted = ["--volume", f"{inputs}:/in:ro", "--volume", f"{outputs}:/out"]
    done = podman.run(*WORKER, *units, user=user, options=mounted)
    results = [json.loads((outputs / str(unit) / "result.json").read_text()) for unit in range(len(scenes))]
    assert all(result["exit_code"] == 0 for result in results), done.stdout
    return {
        scene: result | {"folder": outputs / str(unit)}
        for unit, (scene, result) in enumerate(zip(scenes, results, strict=True))
    }


def gray_pixels(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(Image.open(path).convert("L"), dtype=np.int16)


def find_output(result: dict[str, Any], suffix: str) -> Path:
    (path,) = Path(result["folder"]).rglob(f"*{suffix}")
    return path


@pytest.mark.parametrize("user", ["10001:0", "54321:54321"])
def test_formulas_and_chinese_look_as_outside_for_any_user_on_a_read_only_root(
    user: str, podman: Podman, tmp_path: Path
) -> None:
    result = run_worker(podman, tmp_path, "Board", user=user, format="png")["Board"]
    inside = find_output(result, ".png")
    assert inside.stat().st_uid == int(user.partition(":")[0])
    job = api.submit(BOARD, "Board", format="png", **SMALL)
    job.wait(600)
    (outside,) = job.fetch(tmp_path / "outside")
    job.delete()
    ours, theirs = gray_pixels(inside), gray_pixels(outside)
    assert (theirs > 128).sum() > 1000  # the formulas are there
    assert np.abs(ours - theirs).mean() < 0.5


def test_manims_own_templates_work_with_chinese_and_double_stroke(podman: Podman, tmp_path: Path) -> None:
    for result in run_worker(podman, tmp_path, "Ctex", "Doublestroke", format="png").values():
        ink = gray_pixels(find_output(result, ".png")) > 128
        columns = np.flatnonzero(ink.any(axis=0))
        assert columns[-1] - columns[0] > 100
        assert ink.sum() > 500
        assert result["encoder"] == {}


def test_emoji_are_drawn(podman: Podman, tmp_path: Path) -> None:
    ink = gray_pixels(find_output(run_worker(podman, tmp_path, "Emoji", format="png")["Emoji"], ".png")) > 128
    middle = ink.shape[1] // 2
    assert ink[:, :middle].sum() > 1000
    assert ink[:, middle:].sum() > 1000


def test_a_video_is_rendered_and_the_result_says_with_what(podman: Podman, tmp_path: Path) -> None:
    result = run_worker(podman, tmp_path, "Turn")["Turn"]
    assert find_output(result, ".mp4").stat().st_size > 1000
    assert {"manim", "manim-renderer", "av"} <= set(result["versions"])
    assert "there is no NVIDIA driver here" in result["encoder"]["not_used"]


def test_the_doctor_of_the_image_finds_all_that_scenes_need(podman: Podman) -> None:
    lines = {line["name"]: line for line in json.loads(podman.run("renderer", "doctor", "--json").stdout)}
    for name in ("Python", "Manim", "HOME", "TeX", "fonts", "ffmpeg", "container", "EGL", "x264"):
        assert lines[name]["state"] == "ok", lines[name]
    assert "llvmpipe" in lines["EGL"]["found"]
    assert "capabilities compute,utility,video,graphics" in lines["container"]["found"]


def test_a_missing_capability_is_a_warning_of_the_doctor(podman: Podman) -> None:
    without = ["--env", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]
    lines = json.loads(podman.run("renderer", "doctor", "--json", options=without).stdout)
    (line,) = [line for line in lines if line["name"] == "container"]
    assert (line["state"], "NVENC needs video" in line["todo"]) == ("warning", True)


def test_backends_find_in_the_image_what_they_rely_on(podman: Podman) -> None:
    script = (
        "import os, sys, pathlib, importlib.metadata as m; "
        "print(sys.version_info >= (3, 11), sys.prefix, m.version('manim-renderer'), os.getuid(), "
        "os.environ['NVIDIA_VISIBLE_DEVICES'], os.environ['HOME'], os.access('/tmp', os.W_OK), "
        "pathlib.Path('/usr/share/glvnd/egl_vendor.d/10_nvidia.json').exists(), "
        "pathlib.Path('/etc/timezone').read_text())"
    )
    version = re.escape(podman.image.rpartition(":")[2].partition("-")[0])
    printed = podman.run("python", "-I", "-c", script).stdout.strip()
    assert re.fullmatch(rf"True /opt/venv {version} 10001 all /tmp True True UTC", printed), printed
    assert podman.run("pip", "--version").stdout.startswith("pip ")  # Modal's builder needs python and pip on the PATH
    assert podman.run("touch", "/opt/x", check=False).returncode != 0


def test_nothing_but_the_command_is_printed(podman: Podman) -> None:
    assert podman.run("echo", "hello").stdout == "hello\n"


def test_the_worker_reports_inputs_that_it_cannot_read(podman: Podman) -> None:
    done = podman.run(*WORKER, "--unit", "0", check=False)
    assert done.returncode == 14
    assert "openjd_fail: cannot read the inputs" in done.stdout


def test_layers_and_steps_are_reported(podman: Podman) -> None:
    done = subprocess.run([sys.executable, IMAGE_TESTS / "report.py"], capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first.startswith(f"{podman.image}: ")
    sizes = [int(line.split(" MB")[0].replace(",", "")) for line in rest[: rest.index("")]]
    assert 1000 < sum(sizes) < 4000
    assert any("TEX=small" in line for line in rest)
    assert "steps of the last build:" in rest
