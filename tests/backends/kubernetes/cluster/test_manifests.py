"""The golden manifests, as a real API server reads them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from support.rigs.kubernetes import kubectl, namespace

GOLDEN = Path(__file__).parents[1] / "offline" / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("case", CASES)
def test_a_strict_api_server_accepts_the_golden_manifests(case: str) -> None:
    with namespace() as name:
        text = (GOLDEN / f"{case}.yaml").read_text().replace("namespace: video", f"namespace: {name}")
        command = ["kubectl", "create", "-n", name, "--dry-run=server", "--validate=strict", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr  # Pod Security "restricted" warns about what it would refuse
        template = list(yaml.safe_load_all(text))[1]["spec"]["template"]
        missing = ("runtimeClassName", "priorityClassName", "serviceAccountName")  # nobody made those here
        spec = {key: value for key, value in template["spec"].items() if key not in missing}
        metadata = {**template["metadata"], "name": "one", "namespace": name}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        kubectl("create", "--dry-run=server", "-f", "-", content=json.dumps(pod))
