from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rigs import RIGS
from support.rigs.base import Rig

MARKERS = {"docker": pytest.mark.containers, "k8s": pytest.mark.cluster, "modal": pytest.mark.modal}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKERS.get(name, ())) for name in sorted(RIGS)])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with RIGS[request.param](tmp_path_factory.mktemp(request.param)) as ready:
        yield ready


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project é"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def reference(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scenes of four.py as plain Manim renders them."""
    file = Path(__file__).parent / "scenes" / "four.py"
    return rig.plain(file, "Words", "Formula", "Solid", "Sound", folder=tmp_path_factory.mktemp("plain"))
