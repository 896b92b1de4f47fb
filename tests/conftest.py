from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings
from support.nvidia_driver import Driver

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored, and so its children
settings.register_profile("busy", deadline=None)  # an example may wait for what the other process runs
settings.load_profile("busy")

NEEDS = {"cluster": "cluster", "s3": "cluster", "image": "containers"}  # what a test with such a fixture needs
# There is one cluster, one store of podman's images and one fake Modal server a session: with -n, the tests of each run
# in one process. What waits most comes first, so that another process works beside it.
ORDER = ["cluster", "slow", "containers", "modal"]


def pytest_itemcollected(item: pytest.Item) -> None:
    for fixture, marker in NEEDS.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)
    shared = [name for name in ("cluster", "containers", "modal") if item.get_closest_marker(name)]
    item.add_marker(pytest.mark.xdist_group(shared[0] if shared else item.nodeid.partition("::")[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, name in enumerate(ORDER) if item.get_closest_marker(name)), len(ORDER)))


def pytest_collection_finish(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert all("@" in item.nodeid for item in session.items), "pytest-xdist does not know the groups of the tests"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remove the group, which xdist adds to the names of tests, so that the summary's names can be run again."""
    name, at, group = report.nodeid.rpartition("@")
    if hasattr(report, "node") and at and "]" not in group:
        report.nodeid = name


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    return Driver.build(tmp_path_factory.mktemp("driver"))
