"""The encoders that ``--encoder`` accepts. The client checks requests with this module, so it imports nothing slow."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.errors import SpecError
from renderer.model import RenderSettings


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One encoder: FFmpeg's name of its codec, the containers that can hold it, and its options for good quality."""

    codec: str
    containers: tuple[str, ...] = ("mp4", "mov")
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def nvenc(self) -> bool:
        """Whether it runs on an NVIDIA GPU."""
        return self.codec.endswith("_nvenc")


def _nvenc_options(quality: str) -> dict[str, str]:
    """Return NVENC's options for a constant quality. There are no B-frames, so that the files can be joined."""
    return {"preset": "p4", "tune": "hq", "rc": "vbr", "cq": quality, "b": "0", "bf": "0"}


ENCODERS: Mapping[str, Encoder] = {
    "x264": Encoder(codec="libx264"),
    "nvenc": Encoder(codec="h264_nvenc", options=_nvenc_options("21")),
    "h264_nvenc": Encoder(codec="h264_nvenc", options=_nvenc_options("21")),
    "hevc_nvenc": Encoder(codec="hevc_nvenc", options=_nvenc_options("24")),
    "av1_nvenc": Encoder(codec="av1_nvenc", containers=("mp4", "webm"), options=_nvenc_options("30")),
}
NAMES = ("auto", *ENCODERS)


def check_encoder(name: str, settings: RenderSettings) -> None:
    """Raise SpecError if there is no such encoder, or if it cannot produce the requested kind of file."""
    if name == "auto":
        return
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpecError(
            f"there is no encoder {name!r}",
            hint=f"{hint}encoders: {', '.join(NAMES)}; for another FFmpeg codec set [video_encoder] codec in manim.cfg",
        )
    if reason := find_incompatibility(ENCODERS[name], settings):
        raise SpecError(f"the encoder {name!r} {reason}", hint="leave out --encoder, or choose another --format")


def find_incompatibility(encoder: Encoder, settings: RenderSettings) -> str | None:
    """Return why the encoder cannot make the requested kind of file ("cannot make mov files"); None if it can."""
    container = settings.format or ("mov" if settings.transparent else "mp4")
    if container not in encoder.containers:
        return f"cannot make {container} files, only {' and '.join(encoder.containers)}"
    return "cannot store transparency" if settings.transparent else None
