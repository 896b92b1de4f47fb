"""Reads the documents: their links, headings, files and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("k8s/*.md")])
_FENCE = re.compile(r"^( *)```(\S*) ?(.*?)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what follows it on the line, its text."""

    language: str
    info: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a ``console`` block with the lines that the page shows below it."""

    line: str
    shown: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    return [Block(found[2], found[3].strip(), found[4]) for found in _FENCE.finditer(page.read_text("utf-8"))]


def commands(block: Block) -> list[Command]:
    """Return the commands of a ``console`` block: a line that begins with ``$``, those that continue it, its output."""
    found: list[Command] = []
    for part in re.split(r"^ *\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = re.sub(r"\\\n\s*", "", part).partition("\n")
        found.append(Command(re.sub(r"\s+# .*", "", line), tuple(shown.rstrip("\n").splitlines())))
    return found


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield file and anchor of every link and image of a page that leads into the repository."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^) ]+)\)", text) + re.findall(r' src="(?!https?:)([^"]+)"', text):
        file, _, anchor = target.partition("#")
        yield file, anchor


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
