"""Fuzzes one target after the other: ``python -m support.fuzz SECONDS [TARGET…]``. Prints how many texts were tried."""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, given, settings
from support.fuzz.damage import damaged
from support.fuzz.targets import TARGETS

EXAMPLES = 2000  # of one round


def main() -> None:
    """Fuzz the targets that the arguments name, or all."""
    seconds = float(sys.argv[1])
    for name in sys.argv[2:] or TARGETS:
        count, used = fuzz(name, seconds)
        sys.stdout.write(f"{name}: {count} texts in {used:.0f} s, nothing found\n")
        sys.stdout.flush()


def fuzz(name: str, seconds: float) -> tuple[int, float]:
    """Try damaged texts for so long; return how many, and the time. Raises what the target raises, for the shortest."""
    target, seeds = TARGETS[name]
    count = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=damaged(seeds))
    def attempt(data: bytes) -> None:
        nonlocal count
        count += 1
        target(data)

    started = time.monotonic()
    while time.monotonic() - started < seconds:
        attempt()
    return count, time.monotonic() - started


if __name__ == "__main__":
    main()
