"""Formulas that the shards of one job share, so that TeX runs once for each and not in every shard."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.errors import RendererError
from renderer.engine.cache.chunk_key import Key
from renderer.engine.cache.interface import Cache
from renderer.engine.request import ShardPlace

WAIT_TIMEOUT_S = 5.0  # for another shard's formula; TeX takes less than a second for most
MAX_BYTES = 2**24  # of a formula; others may have written it
MAX_VAIN_WAITS = 3  # then a shard waits no more: the others may have been lost
TURN_TIMEOUT_S = 0.5  # for the shard whose turn it is; all come to a formula at about the same time
MAX_MISSED_TURNS = 3  # then a shard claims what comes: it may be far ahead of the others
_INTERVAL_S = 0.1
_log = logging.getLogger(__name__)


class SharedFormulas:
    """Looks for a formula in the shard's ``own`` cache, then in the store of the job.

    The shards take turns: otherwise the shard that has typeset the first formula would go on before the others, and
    come first to all. The shard whose turn it is claims the formula and typesets it; if it does not come in time,
    another one does. The others wait for it for a short time. If that is in vain, or the store cannot be used, a shard
    typesets the formula itself. ``scratch`` is a folder for files.

    What comes from the store is not kept in the own cache: others may write to the store of a job, but not to the
    cache, which serves later jobs as well.
    """

    def __init__(self, own: Cache, place: ShardPlace, scratch: Path) -> None:
        self._own, self._store, self._scratch = own, place.store, scratch
        self._index, self._shards = place.index, place.count
        self._name = f"{place.index}".encode()
        self._vain_waits = 0
        self._count = 0  # of formulas that the scene has asked for
        self._missed_turns = 0  # of other shards
        self._is_usable = True

    def has_first_frame(self, key: Key) -> bool:
        """Return whether the own cache has an entry that begins in the same way."""
        return self._own.has_first_frame(key)

    def restore(self, key: Key, target: Path) -> bool:
        """Write the formula to ``target``; return False if this shard shall typeset it."""
        is_own_turn = self._count % self._shards == self._index
        self._count += 1
        if self._own.restore(key, target):
            return True
        if not self._is_usable:
            return False
        with self._using_store():
            if self._fetch(key, target) or (not is_own_turn and self._leave_to_others(key, target)):
                return True
            if self._is_claimed_elsewhere(key):
                return self._wait(key, target)
            self._missed_turns += not is_own_turn
        return False

    def keep(self, key: Key, source: Path) -> None:
        """Keep the formula, and give it to the other shards."""
        self._own.keep(key, source)
        if not self._is_usable:
            return
        with self._using_store():
            content = source.read_bytes()
            entry = self._scratch / "formula"
            entry.write_bytes(_digest(key, content) + content)
            self._store.create(f"formulas/{key.all_frames}", entry)

    def prune(self) -> None:
        """Reduce the own cache to its limit."""
        self._own.prune()

    def _fetch(self, key: Key, target: Path) -> bool:
        """Write the formula to ``target`` if the store has it, undamaged."""
        entry = self._scratch / "formula"
        if not self._store.get(f"formulas/{key.all_frames}", entry) or entry.stat().st_size > MAX_BYTES:
            return False
        data = entry.read_bytes()
        size = hashlib.sha256().digest_size
        if data[:size] != _digest(key, data[size:]):
            _log.debug("the formula %s is damaged", key.all_frames)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[size:])
        return True

    def _is_claimed_elsewhere(self, key: Key) -> bool:
        """Claim the formula; return whether another shard has done that before."""
        claim, name = self._scratch / "claim", f"formulas/claims/{key.all_frames}"
        claim.write_bytes(self._name)
        if self._store.create(name, claim):
            return False
        return self._store.get(name, claim) and claim.read_bytes() != self._name

    def _leave_to_others(self, key: Key, target: Path) -> bool:
        """Wait a moment for the shard whose turn it is; return whether the formula has come."""
        return self._missed_turns < MAX_MISSED_TURNS and self._poll(key, target, TURN_TIMEOUT_S)

    def _wait(self, key: Key, target: Path) -> bool:
        """Wait for another shard's formula; return False if it does not come."""
        if self._vain_waits >= MAX_VAIN_WAITS:
            return False
        if self._poll(key, target, WAIT_TIMEOUT_S):
            return True
        self._vain_waits += 1
        _log.debug("another shard claimed the formula %s, and it did not come", key.all_frames)
        return False

    def _poll(self, key: Key, target: Path, seconds: float) -> bool:
        """Look for the formula again and again; return False if it does not come in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(_INTERVAL_S)
            if self._fetch(key, target):
                return True
        return False

    @contextmanager
    def _using_store(self) -> Iterator[None]:
        """Do without the store after an error: clips need it as well, and there it is reported."""
        try:
            yield
        except (RendererError, OSError) as error:
            _log.debug("formulas are not shared: %s", error)
            self._is_usable = False


def _digest(key: Key, content: bytes) -> bytes:
    return hashlib.sha256(key.all_frames.encode() + content).digest()
