"""The page "Coming from Modal": each of its commands runs, with stand-ins for what is not here.

There is no GPU: ``torch`` and ``cupy`` are small modules beside the scripts. Modal is the fake server, and the image of
PyTorch on the cluster is one of the tests, in which ``torch`` is a module as well. Of 100 inputs, two are run.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.docs.pages import ROOT, Block, blocks
from support.docs.session import Session
from support.modal_server import FakeModal
from support.rigs import RIGS

PAGE = ROOT / "docs" / "how-to" / "coming-from-modal.md"
TORCH = """\
__version__ = "stand-in"
class cuda:
    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
device = str
class tensor(list):
    to = lambda self, device: self
    __add__ = lambda self, other: tensor(a + b for a, b in zip(self, other))
    tolist = lambda self: list(self)
"""
CUPY = "square = lambda number: number ** 2\n"
SMALLER = {"range:100": "range:2", " --with cupy-cuda12x": ""}


def follow(session: Session, kind: str, changes: dict[str, str]) -> list[Block]:
    """Write the page's files and the stand-ins, run the commands of one kind, and return those blocks."""
    (session.folder / "torch.py").write_text(TORCH)
    (session.folder / "cupy.py").write_text(CUPY)
    found = blocks(PAGE)
    for block in found:
        if block.language == "python" and block.info:
            session.follow(block)
    ran = [block for block in found if block.language == "console" and block.info == kind]
    for block in ran:
        text = block.text
        for old, new in changes.items():
            text = text.replace(old, new)
        session.follow(replace(block, text=text))
    return ran


@pytest.mark.modal
@pytest.mark.slow
def test_what_modal_runs_with_stand_ins_for_modal_torch_and_cupy(tmp_path: Path) -> None:
    with FakeModal() as server:
        session = Session(tmp_path, RENDERER_RESOLUTION="160x90", **server.environment)
        assert len(follow(session, "modal", SMALLER)) >= 6


@pytest.mark.cluster
def test_the_job_of_pytorchs_image_with_a_stand_in_for_the_image(tmp_path: Path) -> None:
    with RIGS["k8s"](tmp_path) as rig:
        if rig.foreign_image is None:
            pytest.skip("no registry of the tests")
        sizes = {"RENDERER_CPU": "0.5", "RENDERER_MEMORY": "2Gi", "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi"}
        session = Session(tmp_path, **sizes, RENDERER_K8S_NAMESPACE=str(rig.settings["k8s.namespace"]))
        (block,) = follow(session, "k8s", {"pytorch/pytorch:latest": rig.foreign_image("debian")})
        assert re.search(r"--gpu 1\b", block.text)
