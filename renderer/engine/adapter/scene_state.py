"""A digest of a scene's state after a chunk, and the difference between two. Does not import Manim."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True)
class SceneState:
    """The digest of a scene's state. With debug logging, ``parts`` has a label and a digest for each of its parts."""

    digest: str
    parts: tuple[tuple[str, str], ...] = ()


def describe_difference(expected: SceneState, reached: SceneState) -> str:
    """Return a sentence that names the first part, most often a mobject, in which two states differ."""
    for one, other in zip_longest(expected.parts, reached.parts, fillvalue=("nothing", "")):
        if one[0] != other[0]:
            return f"the stepped scene has {one[0]} where the drawn scene has {other[0]}"
        if one != other:
            return f"the first difference between the stepped and the drawn scene is in {one[0]}"
    return "the states differ; debug logging was not on when they were read, so the part is not known"
