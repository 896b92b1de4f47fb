"""Declares every setting of a render once, for the configuration file, environment variables, flags and Python."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from backends import BACKENDS
from backends.docker.options import DockerOptions
from backends.image.requirements import Packages
from backends.kubernetes.options import KubernetesOptions
from backends.local.options import LocalOptions
from backends.modal.options import ModalOptions
from backends.option_types import CommaWords, Duration, KeyValues, ShellWords, Size, at_least, longest, option
from renderer.model import EncoderPreset, FileFormat, Quality, RendererName, RenderSettings
from renderer.video import catalog

# https://pkg.go.dev/github.com/distribution/reference: domain, path, tag and digest
_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


def _resolution(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+)[x,;-](\d+)", value.strip())
    if not match:
        raise ValueError("write it as WIDTHxHEIGHT, for example 1920x1080")
    return int(match[1]), int(match[2])


def _image(value: str) -> str:
    """Return the name of an image if it is one, as container engines and clusters read it."""
    if not _IMAGE.fullmatch(value):
        raise ValueError("write it as REGISTRY/NAME:TAG, in small letters, for example ghcr.io/me/manim-renderer:1.2")
    return value


def _shards(value: object) -> object:
    if isinstance(value, str) and value != "auto" and not re.fullmatch(r"\s*[+-]?\d+\s*", value):
        raise ValueError("write a whole number, or auto")
    return value


def _lower(value: object) -> object:
    """Return the value as Manim reads it: in small letters, and None for its word for the default."""
    text = value.lower() if isinstance(value, str) else value
    return None if text == "auto" else text


Pixels = Annotated[int, Field(ge=16, le=16384)]
Resolution = Annotated[tuple[Pixels, Pixels], BeforeValidator(_resolution)]
Shards = Annotated[Annotated[int, Field(ge=1, le=1000)] | Literal["auto"], BeforeValidator(_shards)]
AttemptDuration = Annotated[Duration, longest(days=7)]
Memory = Annotated[Size, at_least("32Mi")]  # with less, a container does not start, or the kernel ends the worker

# what a caller of `renderer serve` may change, unless serve.allow says otherwise
SERVE_ALLOW = (
    *("backend", "cpu", "encoder", "encoder_preset", "format", "fps", "gpu", "memory", "quality", "renderer"),
    *("poster", "resolution", "retries", "timeout", "transparent"),
)

_TABLE: Any = Field({}, validate_default=True)  # the tables then need no validators of their own, which start slowly


_job = partial(option, group="Job")
_video = partial(option, group="Video")
_resource = partial(option, group="Resources")


class ServeOptions(BaseModel):
    """The configuration's ``[serve]`` table: what callers of `renderer serve` may do. It concerns no job."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    allow: CommaWords = Field(SERVE_ALLOW, description="settings that a caller of `renderer serve` may change")
    backends: CommaWords = Field((), description="backends that it may choose; default: the configured one")
    webhook_networks: CommaWords = Field(
        (), description="networks, such as 10.0.0.0/8, that webhooks may lead to besides the internet"
    )
    tokens: Path | None = Field(
        None, description="folder with further tokens, such as a Secret in a pod; `renderer serve` only reads it"
    )


class Settings(BaseModel):
    """The settings of one submit. The tables (``local``, ``docker``, ``k8s``, ``modal``) hold a backend's options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str = _job(
        "local",
        "backend that runs the job: local, docker, k8s or modal",
        *("--backend", "-b"),
        value="NAME",
        choices=tuple(BACKENDS),
    )
    output: Path = _job(Path("renders"), "folder for the finished files", "--output", value="DIR")
    env: KeyValues = _job({}, "environment variable for your code: KEY=VALUE; may be repeated", value="KEY=VALUE")
    timeout: AttemptDuration = _job(3600.0, "time limit for each attempt: 90s, 10m, 1h30m", value="TIME")
    retries: Annotated[int, Field(ge=0, le=100)] = _job(
        0, "retries after infrastructure failures; errors in your code are not retried", value="N"
    )
    untrusted: bool = _job(
        False, "run code of strangers: without network, credentials or files of this machine, and with limits"
    )
    untrusted_env: CommaWords = Field((), description="names that --env may set together with --untrusted")
    overwrite: bool = _job(False, "replace files in the output folder that are not from an earlier job of the scene")
    output_limit: Size = _job(20 * 1024, "most that is downloaded from a job: 512Mi, 50Gi", value="SIZE")
    output_files: Annotated[int, Field(ge=1, le=10**7)] = _job(
        10_000, "most files that are downloaded from a job", value="N"
    )
    webhook: str | None = _job(None, "URL that gets a signed message when the job ends", value="URL")
    webhook_secret_file: Path | None = _job(None, "file with the secret that signs the message", value="FILE")
    bundle_limit_mib: Size = _job(256, "largest folder that is uploaded: 512Mi, 2Gi", value="SIZE")

    quality: Annotated[Quality | None, BeforeValidator(_lower)] = _video(
        None, "Manim's letters: l 480p15, m 720p30, h 1080p60, p 1440p60, k 2160p60", "--quality", "-q"
    )
    resolution: Resolution | None = _video(
        None, "width and height in pixels: 1920x1080", "--resolution", "-r", value="WxH"
    )
    fps: Annotated[float, Field(gt=0, le=1000)] | None = _video(
        None, "frames per second", "--fps", "--frame_rate", value="N"
    )
    format: Annotated[FileFormat | None, BeforeValidator(_lower)] = _video(
        None, "kind of file; png is the last frame alone, png-sequence every frame"
    )
    transparent: bool = _video(False, "transparent background (mov, webm, gif or png)", "--transparent", "-t")
    renderer: Annotated[RendererName | None, BeforeValidator(_lower)] = _video(None, "Manim's renderer")
    encoder: str = _video(
        "auto", "video encoder: auto, x264, nvenc, hevc_nvenc or av1_nvenc", value="NAME", choices=catalog.NAMES
    )
    encoder_preset: EncoderPreset = _video(
        "fast", "encoder settings: fast (quicker, nearly the same quality) or manim (Manim's own)"
    )

    poster: bool = _video(False, "leave an image beside each film, to show before it plays: NAME.poster.png")
    manim_options: ShellWords = Field((), description="further options of `manim render`, such as --seed 3")
    preview: bool = _video(False, "open the film when it is there", "--preview", "-p")
    preview_command: str | None = _video(None, "program that opens the film", "--preview_command", value="COMMAND")

    gpu: str | None = _resource(
        None, "GPU: A10G, L4:2 (two), L4,T4 (the first that is free), 1 (any) or none", value="GPU"
    )
    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _resource(
        None, "CPU cores of each unit: 4, 0.5", value="N"
    )
    memory: Memory | None = _resource(None, "memory of each unit: 512Mi, 4Gi", value="SIZE")
    image: Annotated[str, AfterValidator(_image)] | None = _resource(
        None, "container image: any that has Python, for scripts", value="NAME"
    )
    packages: Packages = _resource(
        (), "Python package for this job; may be repeated", "--with", value="PACKAGE", repeated=True
    )
    requirements: Path | None = _resource(None, "file that lists Python packages for this job", value="FILE")
    shards: Shards | None = _resource(
        None, "processes, or pods, that render one scene together; auto chooses by the film's length", value="N"
    )
    store: str | None = _resource(
        None, "store that keeps inputs and outputs: s3://…, gs://…, pvc://NAME/path", value="URI"
    )

    cache: str | None = _resource(
        None, "cache of drawn frames that machines share: s3://…, gs://…, file:///…, pvc://NAME/path", value="URI"
    )

    local: LocalOptions = _TABLE
    docker: DockerOptions = _TABLE
    k8s: KubernetesOptions = _TABLE
    modal: ModalOptions = _TABLE
    serve: ServeOptions = _TABLE

    @model_validator(mode="after")
    def _check_video(self) -> Settings:
        if self.transparent and self.format == "mp4":
            raise ValueError("transparent: mp4 files have no transparency; choose mov, webm, gif or png")
        if self.resolution and self.format not in {"png", "png-sequence"} and any(side % 2 for side in self.resolution):
            raise ValueError("resolution: width and height must be even numbers for video")
        return self

    def render_settings(self) -> RenderSettings:
        """Return the settings that are Manim's own."""
        return RenderSettings(**{item.name: getattr(self, item.name) for item in fields(RenderSettings)})

    def backend_options(self, backend: str) -> BaseModel | None:
        """Return the options of a backend; None for an unknown name."""
        tables: dict[str, BaseModel] = {
            "local": self.local,
            "docker": self.docker,
            "k8s": self.k8s,
            "modal": self.modal,
        }
        return tables.get(backend)
