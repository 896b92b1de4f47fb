"""The commands of the README, the tutorials and the how-to pages do what the pages show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.docs.pages import PAGES, ROOT, Block, blocks
from support.docs.session import Session
from support.modal_server import FakeModal
from support.processes import until
from support.rigs.kubernetes import kubectl, require_cluster

TUTORIALS = ROOT / "docs" / "tutorials"
SMALL = {"RENDERER_RESOLUTION": "160x90"}
# A console block runs here unless its first line says where it runs, or why it does not: "```console no-run: why".
KINDS = re.compile(r"(?P<kind>|k8s|modal|no-run)(?P<why>: .+)?|exit=\d+")


def console(page: Path, kind: str) -> list[Block]:
    """Return the console blocks of a page that run there, and before them the files that the page shows."""
    found = [block for block in blocks(page) if block.language == "console" and _kind(block) == kind]
    files = [block for block in blocks(page) if block.language in {"python", "gitignore", "json"} and block.info]
    return [*files, *found] if found else []


def _kind(block: Block) -> str | None:
    found = KINDS.fullmatch(block.info)
    return (found["kind"] or "") if found else None


LOCAL = [page for page in PAGES if console(page, "")]


@pytest.fixture
def cluster() -> Iterator[str]:
    """Return the image to run, and leave no namespace ``renderer``, which the tutorial makes."""
    image = require_cluster()
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip("takes the namespace `renderer`: only on the cluster of tests/support/cluster")
    yield image
    kubectl("delete", "namespace/renderer", "--ignore-not-found")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        if block.language == "console":
            found = KINDS.fullmatch(block.info)
            assert found, f"{page.name}: ```console {block.info}"
            assert found["kind"] != "no-run" or found["why"], f"{page.name}: say why it does not run"


@pytest.mark.slow
@pytest.mark.parametrize("page", LOCAL, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_run_here(page: Path, tmp_path: Path) -> None:
    found = console(page, "")
    session = Session(tmp_path, **({} if any("manim render" in block.text for block in found) else SMALL))
    for block in found:
        session.follow(block)


@pytest.mark.modal
def test_the_modal_tutorial(tmp_path: Path) -> None:
    with FakeModal() as server:
        session = Session(tmp_path, **SMALL, **server.environment)
        for block in console(TUTORIALS / "first-modal-job.md", "modal"):
            session.follow(block)


def test_the_kubernetes_tutorial(cluster: str, tmp_path: Path) -> None:
    sizes = {"RENDERER_CPU": "0.5", "RENDERER_MEMORY": "2Gi", "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi"}
    session = Session(tmp_path, **SMALL, **sizes, RENDERER_IMAGE=cluster)
    for block in console(TUTORIALS / "kubernetes-from-zero.md", "k8s"):
        session.follow(block)
        if "renderer setup" in block.text:  # a reader is slower than the cluster, which makes this account by itself
            until(lambda: bool(kubectl("get", "serviceaccount/default", "-n", "renderer", "--ignore-not-found")))
