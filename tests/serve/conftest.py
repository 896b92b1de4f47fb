from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.http_server import Server, serving
from support.rigs.kubernetes_fixtures import cluster, namespace, rig, s3

__all__ = ["cluster", "namespace", "rig", "s3", "server"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without tokens."""
    with serving(tmp_path_factory.mktemp("user") / "home with blank", RENDERER_BUNDLE_LIMIT_MIB="8") as started:
        yield started
