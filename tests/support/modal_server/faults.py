"""What a test lets go wrong at the fake Modal server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from grpclib import GRPCError, Status


@dataclass
class Faults:
    """The faults that apply now. RPCs are named as in "FunctionMap"; ``seen`` counts what they hit."""

    fail: dict[str, tuple[Status, str]] = field(default_factory=dict)
    delay: dict[str, float] = field(default_factory=dict)
    lost_answers: frozenset[str] = frozenset()  # RPCs that take effect, but whose answers do not arrive
    slow_answers: dict[str, float] = field(default_factory=dict)  # RPCs that are answered after so many seconds
    disconnect_after: str | None = None  # after this RPC no answer arrives any more
    failing_step: str | None = None  # an image build fails at the first command that contains it
    no_capacity: bool = False  # no container starts
    memory_mib: int | None = None  # limit of each container, enforced by the kernel; needs root
    ignores_cancel: bool = False  # containers are not told that their input was cancelled
    cut_uploads: int = 0  # how many of the next uploads break off half-way
    cut_downloads: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    async def apply(self, rpc: str) -> None:
        """Delay or fail a request as the test asked."""
        if self.seen["dead"]:
            raise GRPCError(Status.UNAVAILABLE, "the connection was lost")
        if rpc in self.delay:
            self.seen[rpc] += 1
            await asyncio.sleep(self.delay[rpc])
        if rpc in self.fail:
            self.seen[rpc] += 1
            raise GRPCError(*self.fail[rpc])

    async def apply_to_answer(self, rpc: str) -> None:
        """Delay or lose an answer as the test asked."""
        if rpc in self.slow_answers:
            self.seen[rpc] += 1
            await asyncio.sleep(self.slow_answers[rpc])
        self.seen["dead"] += rpc == self.disconnect_after
        if rpc in self.lost_answers or self.seen["dead"]:
            raise GRPCError(Status.UNAVAILABLE, "the connection was lost")

    def take_cut_upload(self) -> bool:
        """Return whether this upload breaks off."""
        self.cut_uploads -= 1
        return self.cut_uploads >= 0

    def take_cut_download(self) -> bool:
        """Return whether this download breaks off."""
        self.cut_downloads -= 1
        return self.cut_downloads >= 0
