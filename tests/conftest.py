from __future__ import annotations

import re
import signal

import pytest
from hypothesis import settings
from support.nvidia_driver import Driver
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored, and so its children
settings.register_profile("busy", deadline=None)  # an example may wait for what the other process runs
settings.load_profile("busy")

# The order of the tests. What waits most comes first: with -n, another process works beside it.
SHARES = {
    "cluster": r"tests/backends/kubernetes/|\[k8s\]",
    "engine": r"tests/engine/",
    "containers": r"tests/(image|backends/docker)/|\[docker\]",
    "modal": r"tests/backends/modal/|\[modal\]",
    "newest": r"tests/newest/",
    "rest": r"",
}
WHOLE = {"cluster", "containers", "modal"}  # there is one cluster, one store of podman, one double of Modal a session


def share(nodeid: str) -> str:
    return next(name for name, pattern in SHARES.items() if re.search(pattern, nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: list(SHARES).index(share(item.nodeid)))


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a process that has nothing to do the next share, or the next file of one that need not stay whole."""

    def _split_scope(self, nodeid: str) -> str:
        name = share(nodeid)
        return name if name in WHOLE else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    config.option.loadscopereorder = False
    return Shares(config, log)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    return Driver.build(tmp_path_factory.mktemp("driver"))
