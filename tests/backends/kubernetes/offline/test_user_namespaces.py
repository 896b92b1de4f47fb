"""An untrusted pod gets a user namespace where every node with its RuntimeClass says that it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.rigs.api_server import dump, serve

from backends.kubernetes.isolation import have_user_namespaces


def node(handler: str, able: bool | None) -> dict[str, Any]:
    features = {} if able is None else {"features": {"userNamespaces": able}}
    return {
        "metadata": {"name": "n"},
        "status": {"runtimeHandlers": [{"name": "other"}, {"name": handler, **features}]},
    }


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("runsc", True), node("runc", False)], True),
        ([node("runsc", True), node("runsc", False)], False),
        ([node("runsc", None)], False),
        ([{"metadata": {"name": "old"}, "status": {}}], False),
        (None, False),
    ],
)
def test_only_where_all_nodes_can(
    nodes: list[dict[str, Any]] | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(path: str) -> tuple[int, bytes]:
        if "runtimeclasses" in path:
            return 200, dump({"metadata": {"name": "gvisor"}, "handler": "runsc"})
        if nodes is None:
            return 403, b'{"reason": "Forbidden", "message": "not for you"}'
        return 200, dump({"metadata": {"resourceVersion": "1"}, "items": nodes})

    with serve(answer, tmp_path, monkeypatch) as api:
        assert have_user_namespaces(api, "gvisor") is expected
