"""The documents say what the code does, and their links lead somewhere."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import cast

import pytest
from support.docs import tables
from support.docs.pages import PAGES, ROOT, anchors, blocks, links

import renderer
from backends.exit_codes import MEANINGS, ExitCode
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.worker_protocol import Output, UnitResult
from renderer import config
from renderer.api import Job
from renderer.cli.output import status_json
from renderer.engine.request import PlayReport, SceneReport

WRITE = ".venv/bin/python tests/support/docs/tables.py"


def test_the_table_of_exit_codes_is_the_codes() -> None:
    assert set(MEANINGS) == set(ExitCode) == set(tables.TO_DO)
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text("utf-8")
    for code in ExitCode:
        assert f"| {int(code)} | {MEANINGS[code]} |" in page


def test_the_table_of_settings_is_the_settings() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    for item in config.load({}, folder=ROOT / "docs", environ={}):
        (row,) = re.findall(rf"^\| `{re.escape(item.key)}` \|.*\|$", page, re.MULTILINE)
        assert row.endswith(f"| {item.description} |")


@pytest.mark.parametrize("name", tables.TABLES)
def test_generated_tables_are_up_to_date(name: str) -> None:
    page, text = tables.updated(name)
    assert page.read_text("utf-8") == text, f"run {WRITE}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    reached, todo = {index}, [index]
    while todo:
        page = todo.pop()
        found = {(page.parent / target).resolve() for target, _ in links(page) if target.endswith(".md")}
        todo += found - reached
        reached |= found
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= reached


def test_messages_in_the_headings_of_troubleshooting_are_those_of_the_code() -> None:
    code = "".join(path.read_text("utf-8") for name in ("backends", "renderer") for path in (ROOT / name).rglob("*.py"))
    headings = re.findall(r"^### `(.+?)`", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert headings
    for text in headings:
        assert text in code, f"no message says {text!r}"


def test_pages_that_messages_name_exist() -> None:
    for folder in ("backends", "renderer", "docker", "k8s"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".j2"} or path.name == "Dockerfile":
                for page in re.findall(r"(?<![\w./-])docs/[\w/-]+\.md", path.read_text("utf-8")):
                    assert (ROOT / page).exists(), f"{path} names {page}"


def test_files_that_developer_pages_name_exist() -> None:
    engine = ROOT / "renderer" / "engine"
    for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"):
        for name in re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.\w+)?)`", page.read_text("utf-8")):
            assert (ROOT / name).exists() or (engine / name).exists(), f"{page.name} names {name}"


def test_the_architecture_has_every_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for top in ("backends", "renderer"):
        for file in (ROOT / top).rglob("__init__.py"):
            folder = file.parent.relative_to(ROOT).as_posix()
            in_words = ("renderer/cli/",)  # its folders are named in the row above them
            assert f"| `{folder}/` |" in page or folder.startswith(in_words), f"architecture.md lacks {folder}/"


def test_the_examples_of_json_have_the_keys_of_the_code() -> None:
    page = ROOT / "docs" / "reference" / "jobs.md"
    status, result = (json.loads(block.text) for block in blocks(page) if block.language == "json")
    unit = UnitStatus(name="Hello", state=JobState.FAILED)
    handle = JobHandle("local", ("hello-1f3a2b",))
    real = status_json(JobStatus(handle=handle, name="hello", state=JobState.FAILED, units=(unit,)))
    (real_unit,) = cast("list[dict[str, object]]", real["units"])
    assert set(status) == set(real)
    assert set(status["units"][0]) == set(real_unit)
    assert set(result) == _names(UnitResult)
    assert set(result["outputs"][0]) == _names(Output)
    assert set(result["render"]) == _names(SceneReport) - {"outputs", "encoder", "seconds"}
    assert set(result["render"]["plays"][0]) == _names(PlayReport)


def test_the_python_page_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    for name in renderer.__all__:
        assert name in page, f"python.md lacks {name}"
    for name, member in vars(Job).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            assert f"`{name}(" in page, f"python.md lacks Job.{name}"


def test_the_page_of_templates_has_every_template() -> None:
    page = (ROOT / "k8s" / "README.md").read_text("utf-8")
    for template in (ROOT / "k8s").glob("*.j2"):
        assert f"| `{template.name}` |" in page


def test_pictures_are_small() -> None:
    pictures = [path for path in (ROOT / "docs" / "images").iterdir() if path.suffix != ".py" and path.is_file()]
    assert pictures
    for path in pictures:
        assert path.stat().st_size < 600_000, path.name


def test_the_glossary_is_in_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "reference" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    words = rows[1:]
    assert words == sorted(words, key=str.lower)


def _names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}
