"""The store in which the shards of one job meet: clips, a report of each shard, and the order of their arrival.

clips/PLAY-CLIP-CHAIN-SHA256   an encoded clip; CHAIN is a digest of all states up to its end
formulas/KEY                   what TeX made of a formula, and formulas/claims/KEY who makes it (formulas.py)
reports/SHARD                  what a shard reports (report.py)
arrivals/NUMBER                the shard that was done as number NUMBER, counted from 0; the last one joins the clips

Every file is written once, by a conditional put. No shard waits for another.
"""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from renderer.engine.cache.interface import Cache
from renderer.engine.request import ShardPlace
from renderer.engine.shards.formulas import SharedFormulas
from renderer.engine.shards.report import ShardReport

_log = logging.getLogger(__name__)
_NAME = re.compile(r"clips/(\d{5,})-(\d{3,})-([0-9a-f]{32})-([0-9a-f]{64})")
ClipId = tuple[int, int]  # the number of the play, and the number of the clip in it


@dataclass(frozen=True)
class StoredClip:
    """A clip in the store: its name, the digest of the states before and after it, and that of its content."""

    name: str
    chain: str
    sha256: str


class ShardExchange:
    """One shard's view of the store. ``scratch`` is a folder for files on their way."""

    def __init__(self, place: ShardPlace, scratch: Path) -> None:
        self.place = place
        self._store, self._scratch = place.store, scratch / "shards"
        self._scratch.mkdir(exist_ok=True)

    def share_formulas(self, own: Cache) -> Cache:
        """Return a cache for formulas that looks in ``own``, then among those that other shards have typeset."""
        return SharedFormulas(own, self.place, self._scratch)

    def list_clips(self) -> dict[ClipId, list[StoredClip]]:
        """Return the clips that the store has. A nondeterministic scene may have left several of one place."""
        found: dict[ClipId, list[StoredClip]] = {}
        for name in self._store.list("clips"):
            if match := _NAME.fullmatch(name):
                clip = StoredClip(name, match[3], match[4])
                found.setdefault((int(match[1]), int(match[2])), []).append(clip)
        return found

    def keep_clip(self, place: ClipId, chain: str, path: Path) -> None:
        """Store a finished clip."""
        digest = _hash(path)
        self._store.create(f"clips/{place[0]:05}-{place[1]:03}-{chain}-{digest}", path)

    def fetch_clip(self, clip: StoredClip) -> Path | None:
        """Return a copy of the clip; None if it is missing or damaged."""
        target = self._scratch / clip.name.rpartition("/")[2]
        if target.exists() or self._store.get(clip.name, target):
            if _hash(target) == clip.sha256:
                return target
            target.unlink()
        _log.debug("the clip %s is missing or damaged", clip.name)
        return None

    def arrive(self, report: ShardReport) -> bool:
        """Store this shard's report; return whether all other shards have done that before.

        True for one shard alone, also when its process has to start again: it then joins the clips again. Where the
        backend has decided which process joins the clips, no arrival is stored.
        """
        path = self._scratch / "report"
        path.write_bytes(report.to_bytes())
        self._store.create(f"reports/{self.place.index}", path)
        if self.place.joins is not None:
            return self.place.joins
        own = str(self.place.index)
        path.write_text(own)
        for number in range(self.place.count):
            name = f"arrivals/{number}"
            if self._store.create(name, path) or self._read(name) == own.encode():
                _log.debug("shard %s arrived as number %d of %d", own, number + 1, self.place.count)
                return number == self.place.count - 1
        return False

    def describe(self, *, joined: bool, why_whole: str | None = None) -> dict[str, object]:
        """Return what the result says of this shard. ``why_whole`` is why it rendered the whole scene."""
        found: dict[str, object] = {"count": self.place.count, "shard": self.place.index, "joined": joined}
        return {**found, "why_whole": why_whole} if why_whole else found

    def read_reports(self) -> list[ShardReport] | None:
        """Return the reports of all shards, in order; None if one is missing or damaged."""
        with suppress(ValueError):
            contents = [self._read(f"reports/{shard}") for shard in range(self.place.count)]
            return [ShardReport.from_bytes(content) for content in contents]
        return None

    def _read(self, name: str) -> bytes:
        target = self._scratch / "read"
        return target.read_bytes() if self._store.get(name, target) else b""


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
