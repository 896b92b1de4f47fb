"""The Modal backend with the fake Modal server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modal import Client
from support.modal_server import FakeModal
from support.rigs.base import Rig


@contextmanager
def modal(folder: Path) -> Iterator[Rig]:
    """Start the fake server and point Modal's client at it."""
    with FakeModal() as fake, environment(fake):
        yield Rig("modal", {"modal.state_dir": folder / "jobs"})


@contextmanager
def environment(fake: FakeModal) -> Iterator[None]:
    """Set the variables of the fake server for this process and those that it starts."""
    before = {key: value for key, value in os.environ.items() if key.startswith("MODAL_")}
    if "MODAL_SERVER_URL" in before:
        Client.from_env().close()  # the client of this process still knows another fake
    for key in before:
        del os.environ[key]
    os.environ.update(fake.environment)
    try:
        yield
    finally:
        Client.from_env().close()
        for key in fake.environment:
            del os.environ[key]
        os.environ.update(before)
