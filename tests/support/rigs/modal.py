"""The Modal backend with the double of the Modal API in Modal's place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modal import Client
from support.modal_server import ModalDouble
from support.rigs.base import Rig


@contextmanager
def modal(folder: Path) -> Iterator[Rig]:
    """Start the double and point Modal's client at it."""
    with ModalDouble() as double, environment(double):
        yield Rig("modal", {"modal.state_dir": folder / "jobs"})


@contextmanager
def environment(double: ModalDouble) -> Iterator[None]:
    """Put the variables of the double in force for this process and those that it starts."""
    before = {key: value for key, value in os.environ.items() if key.startswith("MODAL_")}
    if "MODAL_SERVER_URL" in before:
        Client.from_env().close()  # the client of this process still knows another double
    for key in before:
        del os.environ[key]
    os.environ.update(double.environment)
    try:
        yield
    finally:
        Client.from_env().close()
        for key in double.environment:
            del os.environ[key]
        os.environ.update(before)
