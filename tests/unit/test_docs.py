"""The reference says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from backends.exit_codes import MEANINGS, ExitCode
from renderer import config

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")


def test_the_table_of_exit_codes_is_the_codes() -> None:
    assert set(MEANINGS) == set(ExitCode)
    for code in ExitCode:
        assert f"| {int(code)} | {MEANINGS[code]} |" in REFERENCE


def test_the_table_of_settings_is_the_settings() -> None:
    table = "".join(
        f"| `{item.key}` | {f'`{item.value}`' if item.value not in (None, {}, False) else ''} | {item.description} |\n"
        for item in config.load({}, folder=ROOT / "docs", environ={})
    )
    assert table in REFERENCE, f"docs/reference.md should hold:\n{table}"


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
