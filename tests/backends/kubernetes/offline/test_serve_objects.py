"""What `renderer setup k8s --serve` prints, compared with a golden file, and the Helm chart, which has the same."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from support.commands import environment, renderer

GOLDEN = Path(__file__).parent / "golden" / "serve.yaml"
ROOT = Path(__file__).parents[4]
OPTIONS = (
    "--namespace",
    "films",
    "--serve",
    "--host",
    "films.example.com",
    "--replicas",
    "3",
    *("--ingress-class", "nginx", "--egress-port", "9000", "--untrusted"),
)
NEEDED = ("--image", "registry.example.com/renderer:1", "--store", "s3://bucket/some where")


def test_the_objects_are_those_of_the_golden_file(tmp_path: Path) -> None:
    env = environment(tmp_path, RENDERER_K8S_IMAGE_PULL_SECRETS="my-registry")
    done = renderer("setup", "k8s", *OPTIONS, *NEEDED, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    if "WRITE_GOLDEN" in os.environ:
        GOLDEN.write_text(done.stdout, "utf-8")
    assert done.stdout == GOLDEN.read_text("utf-8"), "write the golden files again with `make golden`"


def test_the_chart_has_the_same_source() -> None:
    chart = runpy.run_path(str(ROOT / "scripts" / "chart.py"))["build_chart"]()
    written = {path: path.read_text("utf-8") for path in (ROOT / "k8s" / "chart" / "templates").iterdir()}
    assert written == chart, "write the chart again with `make golden`"


@pytest.mark.parametrize(("left", "word"), [(NEEDED[2:], "image"), (NEEDED[:2], "store")])
def test_what_is_missing_is_told(left: tuple[str, ...], word: str, tmp_path: Path) -> None:
    done = renderer("setup", "k8s", *OPTIONS, *left, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 2
    assert word in done.stderr.splitlines()[0]
    assert f"add --{word}" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--image", "films:1"), "--image is for the server"),
        (("--egress-port", "9000"), "--egress-port is for the server"),
        (("--serve", *NEEDED, "--ingress-class", "nginx"), "--ingress-class is for an Ingress"),
        (("--serve", "--untrusted", "--image", "films:1", "--store", "pvc://films"), "cannot be kept in pvc://films"),
        (("--preload", "films:1", "--claim", "films"), "--claim cannot be combined with --preload"),
    ],
)
def test_an_option_that_changes_nothing_is_refused(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = renderer("setup", "k8s", *options, cwd=tmp_path, env=environment(tmp_path))
    assert (done.returncode, done.stdout, sentence in done.stderr) == (2, "", True), done.stderr
