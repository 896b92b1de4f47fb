"""A machine whose clock is an hour ahead, as its processes see it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def set_clock_ahead(folder: Path) -> dict[str, str]:
    """Return variables for processes to which it is an hour later. ``folder`` is for a library that is compiled."""
    library = folder / "fast_clock.so"
    source = Path(__file__).with_name("fast_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
