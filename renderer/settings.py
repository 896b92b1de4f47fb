"""Every setting of a render, declared once: configuration key, environment variable, flag and Python argument."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from backends.docker.options import DockerOptions
from backends.kubernetes.options import KubernetesOptions
from backends.local.options import LocalOptions
from backends.modal.options import ModalOptions

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _resolution(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+)[x,](\d+)", value.strip())
    if not match:
        raise ValueError("it is written WIDTHxHEIGHT, for example 1920x1080")
    return int(match[1]), int(match[2])


def _seconds(value: object) -> object:
    if not isinstance(value, str) or re.fullmatch(r"[\d.]+", value):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("it is written like 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _mib(value: object) -> object:
    if not isinstance(value, str) or value.isdigit():
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(Mi|Gi)B?", value)
    if not match:
        raise ValueError("it is written like 512Mi or 4Gi")
    return int(float(match[1]) * (1024 if match[2] == "Gi" else 1))


def _pairs(value: object) -> object:
    if not isinstance(value, (list, tuple)):
        return value
    pairs = [str(item).partition("=") for item in value]
    if any(not separator or not key for key, separator, _ in pairs):
        raise ValueError("it is written KEY=VALUE")
    return {key: text for key, _, text in pairs}


Pixels = Annotated[int, Field(ge=16, le=16384)]
Resolution = Annotated[tuple[Pixels, Pixels], BeforeValidator(_resolution)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=7 * 86400)]
Mebibytes = Annotated[int, BeforeValidator(_mib), Field(gt=0)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]


def _setting(default: Any, description: str, group: str, *flags: str, metavar: str = "TEXT") -> Any:
    extra: dict[str, Any] = {"group": group, "flags": list(flags), "metavar": metavar}
    return Field(default, description=description, json_schema_extra=extra)


_TABLE: Any = Field({}, validate_default=True)  # so the tables need no validators of their own, whose making takes time


class Settings(BaseModel):
    """The settings of one submit. Tables (``local`` …) hold a backend's own options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str = _setting(
        "local", "where the job runs: local, docker, k8s, modal", "Job", "--backend", "-b", metavar="NAME"
    )
    output: Path = _setting(Path("renders"), "folder for the finished files", "Job", "--output", "-o", metavar="DIR")
    env: Pairs = _setting(
        {}, "environment variable KEY=VALUE for the user's code; may be repeated", "Job", metavar="KEY=VALUE"
    )
    timeout: Seconds = _setting(3600.0, "bound on one try of one scene: 90s, 10m, 1h30m", "Job", metavar="TIME")
    retries: int = Field(
        0,
        ge=0,
        le=100,
        description="further tries after a failure that is not the user's",
        json_schema_extra={"group": "Job", "metavar": "N"},
    )
    bundle_limit_mib: Mebibytes = _setting(256, "largest folder that is sent along: 512Mi, 2Gi", "Job", metavar="SIZE")

    quality: Literal["l", "m", "h", "p", "k"] | None = _setting(
        None, "Manim's letters: l 480p15, m 720p30, h 1080p60, p 1440p60, k 2160p60", "Picture", "--quality", "-q"
    )
    resolution: Resolution | None = _setting(
        None, "width and height in pixels: 1920x1080", "Picture", "--resolution", "-r", metavar="WxH"
    )
    fps: Annotated[float, Field(gt=0, le=1000)] | None = _setting(None, "frames per second", "Picture", metavar="N")
    format: Literal["mp4", "webm", "mov", "gif", "png"] | None = _setting(
        None, "kind of file; png gives the last frame alone", "Picture"
    )
    transparent: bool = _setting(False, "transparent background (mov, webm, gif or png)", "Picture")
    renderer: Literal["cairo", "opengl"] | None = _setting(None, "Manim's renderer", "Picture")
    encoder: str = _setting(
        "auto", "video encoder: auto, x264, nvenc, hevc_nvenc, av1_nvenc", "Picture", metavar="NAME"
    )
    encoder_preset: Literal["fast", "manim"] = _setting(
        "fast", "fast is quicker and looks the same; manim gives Manim's own encoder settings", "Picture"
    )

    gpu: str | None = _setting(
        None, "GPU by name: A10G, L4:2, L4,T4 (in this order), 1 (any), none", "Resources", metavar="GPU"
    )
    cpu: Annotated[float, Field(gt=0)] | None = _setting(None, "CPU cores", "Resources", metavar="N")
    memory: Mebibytes | None = _setting(None, "memory: 512Mi, 4Gi", "Resources", metavar="SIZE")
    image: str | None = _setting(None, "container image", "Resources", metavar="NAME")
    store: str | None = _setting(
        None, "where inputs and outputs lie: s3://…, gs://…, pvc://claim/path", "Resources", metavar="URI"
    )

    local: LocalOptions = _TABLE
    docker: DockerOptions = _TABLE
    k8s: KubernetesOptions = _TABLE
    modal: ModalOptions = _TABLE

    @model_validator(mode="after")
    def _even_sides(self) -> Settings:
        if self.resolution and self.format != "png" and any(side % 2 for side in self.resolution):
            raise ValueError("resolution: width and height must be even numbers for video")
        return self
