"""The golden manifests, as a real API server reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support.commands import BIN
from support.rigs.base import Rig
from support.rigs.kubernetes import kubectl, list_objects, namespace

from backends import JobState

GOLDEN = Path(__file__).parents[1] / "offline" / "golden"
SOURCES = {
    "script": "import pathlib\npathlib.Path(str(pathlib.Path('data.bin').stat().st_size)).touch()\n",
    "scene": "from manim import *\nclass Hello(Scene):\n    def construct(self):\n        self.wait(0.2)\n",
}
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("case", CASES)
def test_a_strict_api_server_accepts_the_golden_manifests(case: str) -> None:
    with namespace() as name:
        text = re.sub(r"(?m)^( *namespace): .*", rf"\1: {name}", (GOLDEN / f"{case}.yaml").read_text())
        command = ["kubectl", "create", "-n", name, "--dry-run=server", "--validate=strict", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr  # Pod Security "restricted" warns about what it would refuse
        specs = (found.get("spec", {}) for found in yaml.safe_load_all(text))
        template = next(spec["template"] for spec in specs if "template" in spec)
        missing = ("runtimeClassName", "priorityClassName", "serviceAccountName")  # nobody made those here
        spec = {key: value for key, value in template["spec"].items() if key not in missing}
        metadata = {**template["metadata"], "name": "one", "namespace": name}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        kubectl("create", "--dry-run=server", "-f", "-", content=json.dumps(pod))


@pytest.mark.parametrize("kind", ["script", "scene"])
def test_a_plain_apply_takes_inputs_that_need_several_config_maps(rig: Rig, kind: str, tmp_path: Path) -> None:
    """It keeps a copy of each object in an annotation, which has 256 KiB.

    The scene runs in a stand-in of Manim's public image, so that the engine is among its inputs.
    """
    image = str(rig.settings["image"])
    if kind == "scene":
        if rig.foreign_image is None:
            pytest.skip("no registry: run pytest by tests/support/cluster/with")
        image = rig.foreign_image("manim")
    project, name = tmp_path / "project", str(rig.settings["k8s.namespace"])
    project.mkdir()
    (project / "data.bin").write_bytes(os.urandom(700_000))
    (project / "file.py").write_text(SOURCES[kind])
    before = list_objects(name)
    command = [str(BIN / "renderer"), "manifest", "file.py", "--namespace", name, "--image", image]
    sizes = ["--cpu", "0.5", "--memory", "2Gi", "--ephemeral-storage", "1Gi", "--gpu", "none", "-r", "160x90"]
    done = subprocess.run([*command, *sizes], cwd=project, capture_output=True, text=True, check=True)
    applied = kubectl("apply", "-f", "-", content=done.stdout)
    assert applied.count("configmap/") == done.stdout.count("kind: ConfigMap") > 3
    (made,) = re.findall(r"job.batch/(\S+) created", applied)
    context = kubectl("config", "current-context").strip()
    job = rig.open(f"k8s://{context}/{name}/{made}")
    job.fetch(tmp_path / "nothing yet")  # this machine then downloads the outputs
    assert job.wait(600).state is JobState.SUCCEEDED, job.status()
    assert [path.name for path in job.fetch(tmp_path / "out")] == ["Hello.mp4" if kind == "scene" else "700000"]
    job.delete()
    assert list_objects(name) == before
