"""The configuration's ``[local]`` table."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LocalOptions(BaseModel):
    """Options of the local backend."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    state_dir: Path | None = Field(
        None, description="folder that holds the jobs; default: manim-renderer/jobs in XDG_STATE_HOME"
    )
    keep_days: float = Field(
        7.0, ge=0, le=36500, description="the next submit removes jobs that ended more than this many days ago"
    )
    cache_mib: int = Field(
        2048, ge=0, description="largest size of the chunk cache in XDG_CACHE_HOME, in MiB; 0 switches the cache off"
    )
