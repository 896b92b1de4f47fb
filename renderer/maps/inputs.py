"""The inputs of a map: the file of JSON lines that travels in the bundle, and ``renderer.inputs`` for scenes.

Each line is an object: ``index`` is the number of the input among all that the user gave, ``name`` its name or an empty
text, ``value`` what the user wrote, and ``arguments`` are the same as words for a script's command line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INPUTS_FILE = ".renderer-inputs.jsonl"  # in the bundle
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
VARIABLE = "RENDERER_INPUT"  # names the file with the value of a unit's input, as JSON


@dataclass(frozen=True)
class MapInput:
    """One input of a map. ``value`` is any JSON value."""

    index: int
    value: Any
    name: str = ""
    arguments: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The name of the unit, and of the folder with its outputs: ``17`` or ``17-NAME``."""
        return f"{self.index}-{self.name}" if self.name else str(self.index)

    def to_line(self) -> str:
        """Return the line of the file, without its newline."""
        return _ENCODER.encode(vars(self))

    @classmethod
    def from_line(cls, line: str | bytes) -> MapInput:
        """Return the input that a line describes. Raises ValueError, TypeError or KeyError for any other text."""
        content = json.loads(line)
        return cls(
            index=int(content["index"]),
            value=content["value"],
            name=str(content["name"]),
            arguments=tuple(map(str, content["arguments"])),
        )


def dump_inputs(inputs: Iterable[MapInput]) -> bytes:
    """Return the content of the file."""
    return "".join(f"{item.to_line()}\n" for item in inputs).encode()


def inputs(default: Any = None) -> Any:
    """Return the input of this unit of `renderer map`: the value that the user wrote, often a mapping.

    Outside a map, for example in a preview with plain Manim, return ``default``, or an empty mapping without one.
    """
    path = os.environ.get(VARIABLE)
    if path is None:
        return {} if default is None else default
    return json.loads(Path(path).read_text("utf-8"))
