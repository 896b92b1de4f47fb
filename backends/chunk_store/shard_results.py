"""What the result of a shard says of the scene that it renders with others."""

from __future__ import annotations

from backends.worker_protocol import UnitResult


def has_outputs(result: UnitResult) -> bool:
    """Return whether the shard has joined the clips of all."""
    shards = result.render.get("shards")
    return isinstance(shards, dict) and shards.get("joined") is True


def explain_whole(result: UnitResult) -> str | None:
    """Return a clause that says why this shard rendered the whole scene; None if it did not."""
    shards = result.render.get("shards")
    why = shards.get("why_whole") if isinstance(shards, dict) else None
    return f"rendered by one shard: {why}" if isinstance(why, str) else None
