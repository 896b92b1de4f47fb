"""The configuration's ``[docker]`` table."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backends.option_types import ShellWords


class DockerOptions(BaseModel):
    """Options of the docker backend."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    engine: Literal["docker", "podman"] = Field("docker", description="program that runs the container")
    options: ShellWords = Field((), description="more options for `docker run`, written as in a shell: --network none")
    state_dir: Path | None = Field(
        None, description="folder that holds the jobs; default: manim-renderer/docker in XDG_STATE_HOME"
    )
    keep_days: float = Field(
        7.0, ge=0, description="the next submit removes jobs that ended more than this many days ago"
    )
