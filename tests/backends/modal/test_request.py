"""The plan: pure, complete, and an error for what Modal cannot do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends import Bundle, JobSpec, Resources
from backends.errors import SpecError
from backends.modal.backend import ModalBackend
from backends.modal.options import ModalOptions
from backends.modal.request import app_name

GOLDEN = Path(__file__).parent / "golden"


def spec(**changes: Any) -> JobSpec:
    wanted = {
        "name": "hello",
        "units": ("Hello", "World"),
        "payload": '{"kind":"manim"}',
        "bundle": Bundle(digest="ab" * 32, data=b"bundle"),
        "env": {"API_KEY": "hunter2"},
    }
    return JobSpec(**{**wanted, **changes})


def plan(options: ModalOptions | None = None, **changes: Any) -> dict[str, Any]:
    request = ModalBackend(options).plan(spec(**changes)).request
    found: dict[str, Any] = json.loads(str(request).replace(app_name(), "renderer-VERSION"))
    assert len(found["inputs"].pop("renderer-worker")) == 64  # it changes with every change of the code
    return found


def golden(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return what the golden file holds; `make golden` writes it first."""
    if "WRITE_GOLDEN" in os.environ:
        (GOLDEN / name).write_text(json.dumps(found, indent=2) + "\n")
    expected: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return expected


def test_a_plain_job_is_an_a10g_with_nothing_special() -> None:
    found = plan()
    assert found == golden("plain.json", found)


def test_every_option_is_sent() -> None:
    options = ModalOptions(region="us-east, eu", cloud="aws", max_containers=7, python="3.11")
    resources = Resources(cpu=8, memory_mib=16384, gpu="L40S:2")
    more: dict[str, Any] = {"packages": ("cupy-cuda12x", "scipy>=1.14,<2"), "image": "debian:12"}
    found = plan(options, resources=resources, timeout=timedelta(minutes=10), retries=3, **more)
    assert found == golden("options.json", found)


def test_values_of_the_environment_are_not_shown() -> None:
    assert "hunter2" not in json.dumps(plan())
    assert plan()["env"] == ["API_KEY"]


@pytest.mark.parametrize(
    ("gpu", "deployed", "option"),
    [
        ("A10G", ["A10G"], None),
        ("l4", ["A10G"], "L4"),
        ("H100!", ["A10G"], "H100!"),
        ("A100-80GB:4", ["A10G"], "A100-80GB:4"),
        ("1", ["A10G"], None),
        ("2", ["A10G"], "A10G:2"),
        ("L4,T4,A10G", ["L4", "T4", "A10G"], None),
        ("none", [], None),
    ],
)
def test_gpus_in_modals_words(gpu: str, deployed: list[str], option: str | None) -> None:
    found = plan(resources=Resources(gpu=gpu))
    assert found["deployment"]["gpus"] == deployed
    assert found["options"].get("gpu") == option


def test_what_only_a_deployment_can_say_has_an_app_of_its_own() -> None:
    apps = [
        plan(**changes)["deployment"]["app"]
        for changes in (
            {},
            {"resources": Resources(gpu="none")},
            {"resources": Resources(gpu="L4,T4")},
            {"image": "nvidia/cuda:12.4.1-devel-ubuntu22.04"},
        )
    ]
    assert apps[0] == "renderer-VERSION"
    assert len(set(apps)) == len(apps)
    assert all(app.startswith("renderer-VERSION-") for app in apps[1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resources": Resources(gpu="A10G:5")}, "at most 4 A10G"),
        ({"resources": Resources(gpu="mig-1g.10gb")}, "no MIG slices"),
        ({"resources": Resources(gpu="A11")}, "there is no GPU"),
        ({"timeout": timedelta(days=1, seconds=1)}, "Modal ends an attempt after 24 h"),
        ({"store": "s3://bucket"}, "Modal does not use --store"),
        ({"env": {"BIG": "x" * 131_072}}, "--env BIG has 128 KiB, and Linux allows 128"),
        ({"env": {"BIG": "x" * 100_000}, "units": ("A",) * 1000}, "--env for 1000 scenes makes 95 MiB, too large"),
    ],
)
def test_what_modal_cannot_do_is_refused_before_anything_is_sent(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        plan(**changes)
    assert caught.value.hint


def test_planning_needs_no_client() -> None:
    code = (
        "import sys; from backends import get_backend, Bundle, JobSpec\n"
        "spec = JobSpec(name='a', units=('A',), payload='{}', bundle=Bundle(digest='0', data=b''))\n"
        "get_backend('modal').plan(spec); print([m for m in sys.modules if m == 'modal' or m.startswith('modal.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "modal.py").write_text("raise ModuleNotFoundError(\"No module named 'modal'\", name='modal')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from backends import get_backend, JobHandle\n"
        "from backends.errors import BackendError\n"
        "try: get_backend('modal').session.modal\n"
        "except BackendError as error: print(error, '|', error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "the backend 'modal' needs the Python package 'modal' | pip install 'manim-renderer[modal]'\n"
    )
