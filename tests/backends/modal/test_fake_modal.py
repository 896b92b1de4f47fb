"""The fake Modal server itself: it keeps to the protocol of the pinned client, and leaves nothing behind."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import socket
import typing
from pathlib import Path

import psutil
import pytest
from support.modal_server import FakeModal
from support.modal_server.api import apps, calls, container_calls, functions, images, logs, volumes
from support.modal_server.api.service import Handlers, handler_name, protocol
from support.processes import alive, until
from support.rigs.base import Rig
from support.rigs.modal import environment

GROUPS: tuple[type[Handlers], ...] = (
    apps.AppHandlers,
    functions.FunctionHandlers,
    images.ImageHandlers,
    volumes.VolumeHandlers,
    logs.LogHandlers,
    calls.CallHandlers,
    container_calls.ContainerHandlers,
)
HANDLERS = [
    pytest.param(group, name, id=name)
    for group in GROUPS
    for name, member in vars(group).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def test_the_client_is_the_pinned_one() -> None:
    locked = re.search(r"(?m)^modal==(\S+)", (Path(__file__).parents[3] / "requirements.txt").read_text())
    assert locked
    assert importlib.metadata.version("modal") == locked[1]


@pytest.mark.parametrize(("group", "name"), HANDLERS)
def test_every_handler_answers_an_rpc_of_the_protocol_in_its_types(group: type[Handlers], name: str) -> None:
    rpcs = {handler_name(path.rpartition("/")[2]): entry for path, entry in protocol().items()}
    assert name in rpcs
    hints = typing.get_type_hints(getattr(group, name))
    answer = typing.get_args(hints["return"])[0] if typing.get_args(hints["return"]) else hints["return"]
    request = next(kind for argument, kind in hints.items() if argument != "return")
    assert (request, answer) == (rpcs[name].request_type, rpcs[name].reply_type)


def test_it_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hang.py"
    path.write_text("import time\nprint('openjd_progress: 1', flush=True)\ntime.sleep(600)\n")
    with FakeModal() as fake, environment(fake):
        job = Rig("modal", {"modal.state_dir": tmp_path / "jobs"}).submit(path)
        until(lambda: bool(fake.state.logs))
        folder, port = fake.state.folder, int(fake.state.grpc_url.rpartition(":")[2])
        (container,) = fake.running(job.handle.parts[1])
        assert container.process
        leader = psutil.Process(container.process.pid)
        processes = [leader, *leader.children(recursive=True)]
        assert len(processes) > 1
    assert not folder.exists()
    assert not [process for process in processes if alive(process.pid)]
    mounts = Path("/proc/self/mounts").read_text()
    assert str(folder) not in mounts
    assert "/mnt/renderer" not in mounts
    listening = [found.laddr.port for found in psutil.Process().net_connections() if found.status == "LISTEN"]
    assert port not in listening


def test_it_closes_a_connection_that_its_client_keeps() -> None:
    with FakeModal() as fake:
        port = int(fake.state.grpc_url.rpartition(":")[2])
        kept = socket.create_connection(("127.0.0.1", port), timeout=10)
        assert kept.recv(65536)  # the server's first words: it has taken the connection
    with kept:
        while kept.recv(65536):
            pass


def test_what_the_protocol_has_but_the_double_has_not_is_refused(fake: FakeModal) -> None:
    import modal

    assert fake.rpcs() is not None
    with pytest.raises(modal.exception.UnimplementedError, match="the fake Modal server has no QueueGetOrCreate"):
        modal.Queue.from_name("q", create_if_missing=True).hydrate()
