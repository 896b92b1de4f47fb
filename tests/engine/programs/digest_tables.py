"""Prints after which changes of a scene's large table the digest of the scene's state is another one than before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from manim import Scene

from renderer.engine.adapter.state_digest import digest_state

ROWS = 5000
CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "nothing": len,
    "an equal row": lambda table: table.__setitem__(7, (7, "7")),
    "another row": lambda table: table.__setitem__(7, (7, "8")),
    "the last row, where the one before was": lambda table: table.append((table.pop()[0], "x")),
    "a longer table": lambda table: table.append((ROWS, "more")),
    "a row that can change": lambda table: table.__setitem__(0, [0]),
    "a change in that row": lambda table: table[0].append(1),
}

scene = Scene()
scene.table = [(index, str(index)) for index in range(ROWS)]
before = digest_state(cast("Any", scene)).digest
for name, change in CHANGES.items():
    change(scene.table)
    after = digest_state(cast("Any", scene)).digest
    print(f"{name}: {'equal' if after == before else 'different'}")  # noqa: T201
    before = after
