"""What can go wrong at the double, set by a test."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from grpclib import GRPCError, Status


@dataclass
class Faults:
    """Faults in force. ``fail`` and ``delay`` are by RPC name, such as "FunctionMap"; everything else counts down."""

    fail: dict[str, tuple[Status, str]] = field(default_factory=dict)
    delay: dict[str, float] = field(default_factory=dict)
    failing_step: str | None = None  # an image build fails at the first command that holds it
    no_capacity: bool = False  # no container starts
    deaf: bool = False  # containers are not told that their input was cancelled
    cut_uploads: int = 0  # so many uploads break off half-way
    cut_downloads: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    async def apply(self, rpc: str) -> None:
        """Wait or fail as the test asked."""
        if rpc in self.delay:
            self.seen[rpc] += 1
            await asyncio.sleep(self.delay[rpc])
        if rpc in self.fail:
            self.seen[rpc] += 1
            raise GRPCError(*self.fail[rpc])

    def take_cut_upload(self) -> bool:
        """Tell whether this upload breaks off."""
        self.cut_uploads -= 1
        return self.cut_uploads >= 0

    def take_cut_download(self) -> bool:
        """Tell whether this download breaks off."""
        self.cut_downloads -= 1
        return self.cut_downloads >= 0
