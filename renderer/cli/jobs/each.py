"""One thing for several jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from backends.errors import RendererError
from renderer import api


def for_each(handles: Iterable[str], action: Callable[[api.Job], None]) -> None:
    """Do it for each job, whatever becomes of the others. Raises the last error; those before it are printed."""
    last: RendererError | None = None
    for handle in handles:
        try:
            action(api.open_job(handle))
        except RendererError as error:
            if last:
                print(f"renderer: {last}", file=sys.stderr)
            last = error
    if last:
        raise last
