"""What the configuration's ``[local]`` table may say."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LocalOptions(BaseModel):
    """Options of the local backend."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    state_dir: Path | None = Field(None, description="where jobs live; default: manim-renderer/jobs in XDG_STATE_HOME")
    keep_days: float = Field(
        7.0, ge=0, le=36500, description="finished jobs older than this are removed at the next submit"
    )
    cache_mib: int = Field(
        2048, ge=0, description="bound on the cache of painted segments, in XDG_CACHE_HOME; 0 for no cache"
    )
