"""Every option of `renderer` that the documents name exists, also in commands that the tests cannot run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.docs.pages import PAGES, ROOT, blocks, commands
from support.docs.tables import loaded_commands

FLAG = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
OTHERS = {"--network", "--max-inflight-encoders", "--extra-index-url", "--strict"}  # of docker, Manim, pip, mypy
WAYS = {"exact", "empty", "full"}  # "renderer exact" is a way to render in the benchmarks, not a command
GLOBAL = {"--help", "--version", "--install-completion", "--show-completion"}


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Return the options of each command."""
    return {
        name: {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {"--help"}
        for name, command in loaded_commands().items()
    }


def named_commands(page: Path) -> Iterator[str]:
    """Yield every `renderer …` of a page: in console blocks, indented blocks and backticks."""
    text = page.read_text("utf-8")
    lines = [command.line for block in blocks(page) if block.language == "console" for command in commands(block)]
    lines += re.sub(r"\\\n\s*", "", "\n".join(re.findall(r"^    (.+)$", text, re.MULTILINE))).splitlines()
    lines += re.findall(r"`(renderer [^`]+)`", text)
    for line in lines:
        yield from re.findall(r"(?:^|[(;&|] ?)renderer ([a-z][^|;&)]*)", line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_exist(page: Path, options: dict[str, set[str]]) -> None:
    for line in named_commands(page):
        words = line.split()
        if words[0] in WAYS:
            continue
        name = next((name for n in (3, 2, 1) if (name := " ".join(words[:n])) in options), words[0])
        assert name in options, f"{page.name}: renderer {line}"
        for flag in FLAG.findall(line.partition(" -- ")[0]):
            assert flag in options[name], f"{page.name}: renderer {line}"
    known = set().union(*options.values()) | OTHERS | GLOBAL
    for flag in re.findall(r"`(--[a-z][\w-]*)", page.read_text("utf-8")):
        assert flag in known, f"{page.name}: {flag}"
