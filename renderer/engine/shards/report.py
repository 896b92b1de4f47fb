"""What each shard reports of a scene that it has stepped through, and how two reports differ."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from renderer.engine.adapter.scene_state import SceneState

MAX_BYTES = 2**28  # of a report that is unpacked
MAX_PARTS = 300_000  # beyond it, a report has digests of states only


@dataclass(frozen=True)
class Boundary:
    """The scene's state after the clip ``clip`` of the play ``play``, which has ``frames`` frames."""

    play: int
    clip: int
    frames: int
    state: SceneState


@dataclass
class ShardReport:
    """The boundaries of all clips, in order. ``machine`` must be the same everywhere, ``kernel`` explains differences.

    ``why_serial`` is set for a shard that found out that the scene cannot be rendered in parallel.
    """

    shard: int
    machine: str = ""
    kernel: str = ""
    why_serial: str | None = None
    boundaries: list[Boundary] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Return the report, compressed."""
        boundaries = self.boundaries
        if sum(len(boundary.state.parts) for boundary in boundaries) > MAX_PARTS:
            boundaries = [replace(boundary, state=SceneState(boundary.state.digest)) for boundary in boundaries]
        content = {**vars(self), "boundaries": boundaries}
        return zlib.compress(json.dumps(content, default=vars).encode())  # asdict copies all, and takes as long again

    @classmethod
    def from_bytes(cls, data: bytes) -> ShardReport:
        """Return the report that ``to_bytes`` wrote. Raises ValueError for anything else."""
        try:
            content = json.loads(zlib.decompressobj().decompress(data, MAX_BYTES))
            boundaries = [
                Boundary(item["play"], item["clip"], item["frames"], _read_state(item["state"]))
                for item in content.pop("boundaries")
            ]
            return cls(**content, boundaries=boundaries)
        except (zlib.error, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("the report of a shard is damaged") from error


def _read_state(content: dict[str, object]) -> SceneState:
    parts = content["parts"]
    if not isinstance(parts, list):
        raise TypeError(parts)
    return SceneState(str(content["digest"]), tuple((str(label), str(digest)) for label, digest in parts))


def find_difference(reports: Sequence[ShardReport]) -> str | None:
    """Return a clause that says where the first two reports differ that do; None if all say the same."""
    first = reports[0]
    for other in reports[1:]:
        if difference := _compare(first, other):
            return difference
    return None


def _compare(one: ShardReport, other: ShardReport) -> str | None:
    names = f"shards {one.shard} and {other.shard}"
    if one.shard == other.shard:  # which started again, or another process joins the clips in its place
        names = f"two runs of shard {one.shard}"
    if one.machine != other.machine:
        return f"{names} run on machines that encode differently ({one.machine}; {other.machine})"
    for left, right in zip_longest(one.boundaries, other.boundaries):
        if left is None or right is None:
            return f"{names} went through different numbers of plays"
        if (left.play, left.clip, left.frames) != (right.play, right.clip, right.frames):
            return f"{names} differ in the length of play {min(left.play, right.play)}"
        if left.state.digest != right.state.digest:
            kernels = "" if one.kernel == other.kernel else f"; their OpenBLAS kernels are {one.kernel}, {other.kernel}"
            return f"{names} differ at the end of play {left.play}, in {_find_part(left.state, right.state)}{kernels}"
    return None


def _find_part(one: SceneState, other: SceneState) -> str:
    """Return the label of the first part in which the states differ."""
    for left, right in zip_longest(one.parts, other.parts, fillvalue=("nothing", "")):
        if left[0] != right[0]:
            return f"{left[0]} or {right[0]}"
        if left != right:
            return left[0]
    return "its state"
