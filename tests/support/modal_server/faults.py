"""What can go wrong at the double, set by a test."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from grpclib import GRPCError, Status


@dataclass
class Faults:
    """Faults in force. RPCs are named as in "FunctionMap"."""

    fail: dict[str, tuple[Status, str]] = field(default_factory=dict)
    delay: dict[str, float] = field(default_factory=dict)
    lost_answers: frozenset[str] = frozenset()  # RPCs that are served, and whose answers do not arrive
    slow_answers: dict[str, float] = field(default_factory=dict)  # RPCs that are served, and answered later
    dead_after: str | None = None  # once this RPC was served, no answer arrives any more
    failing_step: str | None = None  # an image build fails at the first command that holds it
    no_capacity: bool = False  # no container starts
    memory_mib: int | None = None  # what a container may use before the kernel ends a process of it; needs root
    deaf: bool = False  # containers are not told that their input was cancelled
    cut_uploads: int = 0  # so many uploads break off half-way
    cut_downloads: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    async def apply(self, rpc: str) -> None:
        """Wait or fail as the test asked."""
        if self.seen["dead"]:
            raise GRPCError(Status.UNAVAILABLE, "the connection was lost")
        if rpc in self.delay:
            self.seen[rpc] += 1
            await asyncio.sleep(self.delay[rpc])
        if rpc in self.fail:
            self.seen[rpc] += 1
            raise GRPCError(*self.fail[rpc])

    async def apply_to_answer(self, rpc: str) -> None:
        """Hold back or lose the answer as the test asked."""
        if rpc in self.slow_answers:
            self.seen[rpc] += 1
            await asyncio.sleep(self.slow_answers[rpc])
        self.seen["dead"] += rpc == self.dead_after
        if rpc in self.lost_answers or self.seen["dead"]:
            raise GRPCError(Status.UNAVAILABLE, "the connection was lost")

    def take_cut_upload(self) -> bool:
        """Tell whether this upload breaks off."""
        self.cut_uploads -= 1
        return self.cut_uploads >= 0

    def take_cut_download(self) -> bool:
        """Tell whether this download breaks off."""
        self.cut_downloads -= 1
        return self.cut_downloads >= 0
