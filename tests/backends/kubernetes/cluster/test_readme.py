"""The commands of k8s/README.md, run as they are written but for the placeholders in capitals."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import BIN, environment
from support.processes import until
from support.rigs.kubernetes import get, kubectl, push_foreign_image

README = Path(__file__).parents[4] / "k8s" / "README.md"
SCENE = """\
from manim import *


class MyScene(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.3)
"""
SIZES = {
    "RENDERER_CPU": "0.5",
    "RENDERER_MEMORY": "2Gi",
    "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi",
    "RENDERER_RESOLUTION": "160x90",
}


def commands(section: str) -> list[str]:
    """Return the commands of a section, with continued lines joined."""
    text = README.read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    return re.sub(r"\\\n\s*", "", lines).splitlines()


@pytest.fixture(scope="module")
def cluster(cluster: str) -> Iterator[str]:
    """Reserve the namespace `renderer` and the cluster-wide objects, where the cluster is the tests' own."""
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip("takes the namespace `renderer`: only on the cluster of tests/support/cluster")
    yield cluster
    for item in ("namespace/renderer", "clusterrole/renderer", "clusterrolebinding/renderer-renderer"):
        kubectl("delete", item, "--ignore-not-found", "--wait=false")


def shell(lines: list[str], folder: Path, **names: str) -> str:
    """Run the commands in one shell, in a folder whose name has a space."""
    here = folder / "my videos"
    here.mkdir(exist_ok=True)
    (here / "scene.py").write_text(SCENE)
    text = "\n".join(lines)
    for placeholder, value in names.items():
        text = text.replace(placeholder, value)
    env = environment(folder, PATH=f"{BIN}:{os.environ['PATH']}", **SIZES)
    script = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(script, cwd=here, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def render(cluster: str) -> dict[str, str]:
    return {"REGISTRY/renderer:TAG": cluster}


def test_a_scene_is_rendered_with_kubectl_alone(cluster: str, tmp_path: Path) -> None:
    shell(commands("Once: the namespace"), tmp_path)
    until(lambda: get("serviceaccount", "default", "-n", "renderer")["kind"] == "ServiceAccount")
    first, *rest = commands("A render")
    (name,) = re.findall(r"job.batch/(myscene-\S+) created", shell([first], tmp_path, **render(cluster)))
    shell(rest, tmp_path, **{"MYSCENE-1A2B3C": name})
    assert (tmp_path / "my videos" / "0" / "files" / "MyScene.mp4").stat().st_size > 0
    until(lambda: get("job", name, "-n", "renderer")["status"].get("succeeded") == 1)
    shell(commands("Taking it away"), tmp_path, **{"MYSCENE-1A2B3C": name})
    assert get("job,configmap", "-n", "renderer", "-l", f"app.kubernetes.io/instance={name}")["items"] == []


@pytest.mark.usefixtures("cluster")
def test_a_script_runs_in_an_image_of_others_with_kubectl_alone(tmp_path: Path) -> None:
    image = push_foreign_image("debian")  # with a stand-in for torch
    shell(commands("Once: the namespace"), tmp_path)
    until(lambda: get("serviceaccount", "default", "-n", "renderer")["kind"] == "ServiceAccount")
    (tmp_path / "my videos" / "gpu_info.py").write_text("import torch\nprint(torch.__version__)\n")
    submit, logs = commands("A script in any image")
    (name,) = re.findall(
        r"job.batch/(gpu-info-\S+) created",
        shell([submit], tmp_path, **{"pytorch/pytorch:latest": f"{image} --collect-timeout 2s"}),
    )
    assert "2.9-of-the-image\n" in shell([logs], tmp_path, **{"GPU-INFO-1A2B3C": name})
    shell(commands("Taking it away"), tmp_path, **{"MYSCENE-1A2B3C": name})


@pytest.mark.usefixtures("cluster")
def test_a_private_registry(tmp_path: Path) -> None:
    given = os.environ.get("PRIVATE_REGISTRY_FOR_TESTS")
    if not given:
        pytest.skip("no private registry: run pytest by tests/support/cluster/with")
    (user, password), server = given.partition("@")[0].split(":"), given.partition("@")[2]
    image = f"{server}/renderer@{os.environ['IMAGE_DIGEST_FOR_TESTS']}"
    shell(commands("Once: the namespace"), tmp_path)
    names = {"REGISTRY/renderer@sha256:…": image, "REGISTRY": server, "USER": user, "PASSWORD": password}
    assert "MyScene.mp4" in shell(commands("A private registry"), tmp_path, **names)


def test_credentials_of_a_store(cluster: str, tmp_path: Path, s3: str) -> None:
    shell(commands("Once: the namespace"), tmp_path)
    secret, submit = commands("Credentials of a store")
    endpoint = f" --from-literal=AWS_ENDPOINT_URL={os.environ['AWS_ENDPOINT_URL']} --from-literal=AWS_ALLOW_HTTP=true"
    keys = {"AWS_ACCESS_KEY_ID=…": "AWS_ACCESS_KEY_ID=" + os.environ["AWS_ACCESS_KEY_ID"]}
    keys |= {"AWS_SECRET_ACCESS_KEY=…": "AWS_SECRET_ACCESS_KEY=" + os.environ["AWS_SECRET_ACCESS_KEY"]}
    here = {"eu-central-1": os.environ["AWS_REGION"], "s3://bucket/renders": f"'{s3}'"}
    handle = shell([secret + endpoint, submit], tmp_path, **keys, **here, **render(cluster)).splitlines()[-1]
    fetch = f"renderer wait {handle} && renderer fetch {handle} && renderer delete {handle}"
    assert "MyScene.mp4" in shell([fetch], tmp_path)
