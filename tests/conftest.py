from __future__ import annotations

import signal

import pytest
from driver import Driver

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored, and so its children


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    return Driver.build(tmp_path_factory.mktemp("driver"))
