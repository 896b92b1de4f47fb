"""The packages and the Python that a job needs: from --with, from --requirements, and from the script itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.errors import SpecError
from backends.image.requirements import check_requirement, read_requirements

# https://packaging.python.org/en/latest/specifications/inline-script-metadata/
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")


@dataclass(frozen=True)
class Needs:
    """Lines of a requirements file, and what the script asks of its Python, such as ``>=3.11``."""

    packages: tuple[str, ...] = ()
    python: str | None = None


def read_needs(script: Path | None, packages: Sequence[str], requirements: Path | None) -> Needs:
    """Return what the job needs; ``script`` is None for scenes. Raises SpecError for what cannot be installed."""
    metadata = _read_metadata(script) if script else {}
    dependencies, python = metadata.get("dependencies", []), metadata.get("requires-python")
    lines = (*read_requirements(packages, requirements), *map(str, dependencies))
    for line in lines:
        check_requirement(line)
    return Needs(lines, None if python is None else str(python))


def _read_metadata(script: Path) -> dict[str, list[str]]:
    """Return the table of the block ``# /// script`` (PEP 723); an empty one without the block."""
    found = _BLOCK.search(script.read_text("utf-8", "replace").replace("\r\n", "\n"))
    if not found:
        return {}
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in found["content"].splitlines())
    try:
        table = tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"the `# /// script` block of {script.name} is not TOML: {error}", hint="correct it") from error
    if not isinstance(table.get("dependencies", []), list):
        raise SpecError(
            f"dependencies in the `# /// script` block of {script.name} is not a list",
            hint='write dependencies = ["numpy"]',
        )
    if unknown := sorted(table.get("tool", {})):
        raise SpecError(
            f"the `# /// script` block of {script.name} has settings of a tool: {', '.join(unknown)}",
            hint="remove tool, and give an index in a file for --requirements: --extra-index-url URL",
        )
    return table
