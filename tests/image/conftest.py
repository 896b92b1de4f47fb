from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.containers import IMAGE_TESTS, Podman


@pytest.fixture(scope="session")
def image() -> str:
    """Return the image of this checkout, built if its content is new."""
    done = subprocess.run([IMAGE_TESTS / "build-image"], stdout=subprocess.PIPE, text=True, check=True, timeout=1200)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def podman(image: str) -> Podman:
    return Podman(image)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder
