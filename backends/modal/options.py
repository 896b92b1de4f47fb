"""The configuration's ``[modal]`` table and the Modal flags of submit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from backends.image.requirements import is_package
from backends.option_types import CommaWords, option


def _split_packages(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value  # a package may hold commas: numpy>=1,<2


def _check_package(text: str) -> str:
    if not is_package(text):
        raise ValueError(f"{text!r} is not a package; write it as cupy-cuda12x==13.3.0 or name@https://…")
    return text


Packages = Annotated[tuple[Annotated[str, AfterValidator(_check_package)], ...], BeforeValidator(_split_packages)]


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
    packages: Packages = _option(
        (), "Python package to add to the image; may be repeated", "--with", value="PACKAGE", repeated=True
    )
    requirements: Path | None = _option(
        None, "file that lists Python packages to add to the image", "--requirements", value="FILE"
    )
    registry_secret: str | None = _option(None, "Modal Secret with the credentials for the registry of --image")
    secrets: CommaWords = _option((), "Modal Secrets that become environment variables of your code: one,two")
    state_dir: Path | None = _option(
        None, "folder that remembers the jobs; default: manim-renderer/modal in XDG_STATE_HOME"
    )
