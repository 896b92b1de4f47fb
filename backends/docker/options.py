"""What the configuration's ``[docker]`` table may say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _words(value: object) -> object:
    return tuple(shlex.split(value)) if isinstance(value, str) else value


class DockerOptions(BaseModel):
    """Options of the docker backend."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    engine: Literal["docker", "podman"] = Field("docker", description="the program that runs the container")
    options: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        (), description="further options of `docker run`, as a shell would split them: --network none"
    )
    state_dir: Path | None = Field(
        None, description="where jobs live; default: manim-renderer/docker in XDG_STATE_HOME"
    )
    keep_days: float = Field(7.0, ge=0, description="finished jobs older than this are removed at the next submit")
