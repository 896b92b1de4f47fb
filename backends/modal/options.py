"""The configuration's ``[modal]`` table and the Modal flags of submit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backends.option_types import CommaWords, option

_option = partial(option, group="Modal")


class ModalOptions(BaseModel):
    """Options of the Modal backend. Modal's own client reads the credentials from its own configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    profile: str | None = _option(None, "profile of ~/.modal.toml; default: the active one")
    environment: str | None = _option(None, "Modal environment; default: the profile's")
    region: CommaWords = _option(
        (), "regions where the job may run: us-east,eu; default: any", "--modal-region", value="NAME,…"
    )
    cloud: str | None = _option(
        None, "cloud where the job runs: aws, gcp or oci; default: any", "--modal-cloud", value="NAME"
    )
    max_containers: Annotated[int, Field(ge=1, le=1000)] | None = _option(
        None, "most units that run at the same time", "--modal-max-containers", value="N"
    )
    python: Literal["3.10", "3.11", "3.12", "3.13"] | None = _option(
        None, "Python to add to an --image that has none; default: the image's own", "--modal-python"
    )
    registry_secret: str | None = _option(None, "Modal Secret with the credentials for the registry of --image")
    secrets: CommaWords = _option((), "Modal Secrets that become environment variables of your code: one,two")
    state_dir: Path | None = _option(
        None, "folder that remembers the jobs; default: manim-renderer/modal in XDG_STATE_HOME"
    )
