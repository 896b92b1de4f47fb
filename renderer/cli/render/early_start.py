"""Guesses from its words alone that a command will render scenes on this machine, and starts what its job will need.

It is imported before Typer and the settings, so that they and Manim are imported at the same time. A wrong guess costs
the CPU time of a process that ends when the command knows better.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backends.files import state_folder

# Options, and settings in other places, with which the job runs elsewhere, or the worker has to know them first.
_OPTIONS = (
    *("-b", "--backend", "--dry-run", "--env", "-h", "--help", "--image", "--kind", "--requirements", "--shards"),
    *("--untrusted", "--verbose", "--with"),
)
_VARIABLES = ("BACKEND", "ENV", "PACKAGES", "REQUIREMENTS", "SHARDS", "UNTRUSTED")
_FILE_BYTES = 2**18


@contextmanager
def started_early(words: Sequence[str]) -> Iterator[None]:
    """Start the supervisor of the job that a command with these words will submit, if it probably makes one here.

    If no job has taken it at the end of the block, it is ended.
    """
    if sys.platform != "linux" or not _is_likely(words[: words.index("--")] if "--" in words else words):
        yield
        return
    from backends.local.early import command as early

    early.start()  # first, because what follows takes a while
    try:
        from backends.local.turns import are_taken
        from renderer.config_files import may_set

        if are_taken(state_folder("turns")) or may_set("backend", Path.cwd()):
            early.discard()
        yield
    finally:
        early.discard()


def _is_likely(words: Sequence[str]) -> bool:
    return not (
        any(word.startswith(_OPTIONS) for word in words)
        or any(f"RENDERER_{name}" in os.environ for name in _VARIABLES)
        or len(os.sched_getaffinity(0)) == 1
        or not _names_scenes(words)
    )


def _names_scenes(words: Sequence[str]) -> bool:
    """Return whether one of the words is a file that speaks of Manim."""
    try:
        file = next(word for word in words if word.endswith(".py"))
        with Path(file).open("rb") as content:
            return b"manim" in content.read(_FILE_BYTES)
    except (StopIteration, OSError, ValueError):
        return False
