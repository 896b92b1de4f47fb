from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support.nvidia_driver import Driver

# A shell's background job ignores SIGINT, and so do its children: the tests of Ctrl-C would fail.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Each run has the same examples, and a slow machine is no failure.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

MARKER_OF_FIXTURE = {"cluster": "cluster", "s3": "cluster", "image": "containers"}
# A session has one cluster, one image store of podman and one fake Modal server: with `-n`, the tests of each run in
# one process. So do the other tests of a file, because they share its fixtures.
SHARED = ("cluster", "containers", "modal")
# What waits most comes first, because another process can work meanwhile.
ORDER = ("cluster", "slow", "containers", "modal")


def pytest_itemcollected(item: pytest.Item) -> None:
    for fixture, marker in MARKER_OF_FIXTURE.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)
    file = item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(next((name for name in SHARED if item.get_closest_marker(name)), file)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, name in enumerate(ORDER) if item.get_closest_marker(name)), len(ORDER)))


def pytest_collection_finish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):  # a process of pytest-xdist
        assert all("@" in item.nodeid for item in session.items), "pytest-xdist does not know the groups of the tests"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remove the group that pytest-xdist appends to a test's name, so that names from the summary can be run again."""
    name, at, group = report.nodeid.rpartition("@")
    if hasattr(report, "node") and at and "]" not in group:
        report.nodeid = name


@pytest.fixture(scope="session", autouse=True)
def _state_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the library remembers in this process out of the tester's own state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    return Driver.build(tmp_path_factory.mktemp("driver"))
