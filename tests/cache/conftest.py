from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.s3 import Place, s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder) as variables:
        yield folder, variables


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "file":
        return Place(f"file://{tmp_path}/shared", tmp_path / "shared")
    folder, variables = request.getfixturevalue("s3")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Place(f"s3://frames/{tmp_path.name}", folder / "frames" / tmp_path.name)
