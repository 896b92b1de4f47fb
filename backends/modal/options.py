"""What the configuration's ``[modal]`` table may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


def _option(default: Any, description: str, *flags: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"group": "Modal", "flags": list(flags)}, **limits)


class ModalOptions(BaseModel):
    """Options of the Modal backend. Credentials are none of them: Modal's client reads its own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str | None = _option(None, "profile of ~/.modal.toml; default: the active one")
    environment: str | None = _option(None, "Modal environment; default: the profile's")
    region: Words = _option((), "regions to run in, separated by commas: us-east,eu", "--modal-region")
    cloud: str | None = _option(None, "cloud to run in: aws, gcp, oci", "--modal-cloud")
    max_containers: int | None = _option(
        None, "scenes that run at the same time at most", "--modal-max-containers", ge=1, le=1000
    )
    packages: Words = _option((), "Python packages to add to the image, separated by commas", "--modal-packages")
    requirements: Path | None = _option(None, "requirements.txt to add to the image", "--modal-requirements")
    registry_secret: str | None = _option(None, "Modal secret with the credentials of the registry of --image")
    secrets: Words = _option((), "Modal secrets whose values the user's code gets as environment variables")
    state_dir: Path | None = _option(None, "where jobs are remembered; default: manim-renderer/modal in XDG_STATE_HOME")
