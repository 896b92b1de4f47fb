"""What the configuration's ``[modal]`` table may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from backends.image.requirements import is_package


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _split(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _check_package(text: str) -> str:
    if not is_package(text):
        raise ValueError(f"{text!r} is no package; write it as cupy-cuda12x==13.3.0 or name@https://…")
    return text


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Packages = Annotated[tuple[Annotated[str, AfterValidator(_check_package)], ...], BeforeValidator(_split)]


def _option(default: Any, description: str, *flags: str, repeated: bool = False, **limits: Any) -> Any:
    extra: dict[str, Any] = {"group": "Modal", "flags": list(flags), "repeated": repeated}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class ModalOptions(BaseModel):
    """Options of the Modal backend. Credentials are none of them: Modal's client reads its own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    profile: str | None = _option(None, "profile of ~/.modal.toml; default: the active one")
    environment: str | None = _option(None, "Modal environment; default: the profile's")
    region: Words = _option((), "regions to run in, separated by commas: us-east,eu", "--modal-region")
    cloud: str | None = _option(None, "cloud to run in: aws, gcp, oci", "--modal-cloud")
    max_containers: int | None = _option(
        None, "scenes that run at the same time at most", "--modal-max-containers", ge=1, le=1000
    )
    packages: Packages = _option((), "a Python package to add to the image; may be repeated", "--with", repeated=True)
    requirements: Path | None = _option(None, "a file of Python packages to add to the image", "--requirements")
    registry_secret: str | None = _option(None, "Modal secret with the credentials of the registry of --image")
    secrets: Words = _option((), "Modal secrets whose values the user's code gets as environment variables")
    state_dir: Path | None = _option(None, "where jobs are remembered; default: manim-renderer/modal in XDG_STATE_HOME")
