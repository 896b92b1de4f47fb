"""Checks a Dockerfile against the rules of Modal's builder, which differ from Docker's.

Which files a COPY uploads is decided in the client, modal/_utils/docker_utils.py; read in version 1.6.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_IGNORED = frozenset({"EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "STOPSIGNAL", "VOLUME"})


@dataclass(frozen=True)
class Finding:
    """A line of a Dockerfile that Modal does not build as docker does, and why."""

    line: int
    message: str


def lint(text: str) -> list[Finding]:
    """Return the findings in the order of the lines."""
    return [Finding(line, message) for line, word, rest in _instructions(text) for message in _check(word, rest)]


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, keyword and arguments of each instruction; continued lines are joined, comments left out."""
    began, parts = 0, list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        began = began or number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            word, _, rest = " ".join(parts).strip().partition(" ")
            yield began, word.upper(), rest.strip()
            began, parts = 0, []


def _check(word: str, rest: str) -> Iterator[str]:
    if word in _IGNORED:
        yield f"{word} is not implemented: leave it out"
    elif word == "ADD":
        yield "ADD uploads nothing: use COPY"
    elif word == "COPY":
        yield from _check_copy(rest)
    elif word == "RUN" and re.match(r"(--\w+\S*\s+)*--mount=", rest):
        yield "RUN --mount is not supported: COPY what the step needs"
    elif word == "ENV" and re.search(r"\$\{\w+:[-+]", rest):
        yield "ENV cannot give ${NAME:-default}: give an ARG a default and use it"
    elif word == "ENTRYPOINT" and rest.replace(" ", "") != "[]":
        yield 'ENTRYPOINT must be [], or a program that ends with exec "$@", which cannot be seen here'


def _check_copy(rest: str) -> Iterator[str]:
    if "<<" in rest:
        yield "COPY cannot take a here-document: put the text into a file"
    plain = re.sub(r"^(--\S+\s+)*", "", rest)
    if plain.startswith("["):
        yield 'COPY ["…"] uploads nothing: write the paths without brackets'
    elif "--from=" not in rest and any("$" in source for source in plain.split()[:-1]):
        yield "COPY cannot take a source from a variable: write the path"
