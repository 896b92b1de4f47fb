from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.modal_server import FakeModal
from support.rigs.base import Rig
from support.rigs.modal import environment


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.modal)


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeModal]:
    """One fake server for all tests here; the function is deployed to it once."""
    with FakeModal() as running, environment(running):
        yield running


@pytest.fixture
def fresh() -> Iterator[FakeModal]:
    """A fake server for one test, to which nothing has been deployed."""
    with FakeModal() as running, environment(running):
        yield running


@pytest.fixture
def rig(fake: FakeModal, tmp_path: Path) -> Rig:
    fake.state.requests.clear()
    return Rig("modal", {"modal.state_dir": tmp_path / "jobs"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my project é"
    folder.mkdir()
    return folder


@pytest.fixture
def script(project: Path) -> Callable[[str], Path]:
    """Write a script into the project."""

    def write(text: str) -> Path:
        path = project / "job.py"
        path.write_text(text, "utf-8")
        return path

    return write
