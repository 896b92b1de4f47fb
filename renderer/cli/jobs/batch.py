"""Runs an action for several jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from backends.errors import RendererError
from backends.untrusted import show_line
from renderer import api


def for_each_job(handles: Iterable[str], action: Callable[[api.Job], None]) -> None:
    """Run the action for each job, even if it fails for another. Print all errors but the last, and raise that one."""
    last: RendererError | None = None
    for handle in handles:
        try:
            action(api.open_job(handle))
        except RendererError as error:
            if last:
                print(f"renderer: {show_line(str(last))}", file=sys.stderr)
            last = error
    if last:
        raise last
