"""The encoders that ``--encoder`` names. Imports nothing slow: requests are checked with it before they are sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.errors import SpecError
from renderer.model import RenderSettings


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One encoder: FFmpeg's name of it, the containers that it can fill, its options for good quality."""

    codec: str
    containers: tuple[str, ...] = ("mp4", "mov")
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def nvenc(self) -> bool:
        """Whether a GPU does the work."""
        return self.codec.endswith("_nvenc")


def _nvenc(quality: str) -> dict[str, str]:
    """Ask for constant quality. No B-frames: every segment then begins at time 0 and joins without a seam."""
    return {"preset": "p4", "tune": "hq", "rc": "vbr", "cq": quality, "b": "0", "bf": "0"}


ENCODERS: Mapping[str, Encoder] = {
    "x264": Encoder(codec="libx264"),
    "nvenc": Encoder(codec="h264_nvenc", options=_nvenc("21")),
    "h264_nvenc": Encoder(codec="h264_nvenc", options=_nvenc("21")),
    "hevc_nvenc": Encoder(codec="hevc_nvenc", options=_nvenc("24")),
    "av1_nvenc": Encoder(codec="av1_nvenc", containers=("mp4", "webm"), options=_nvenc("30")),
}
NAMES = ("auto", *ENCODERS)


def check(name: str, settings: RenderSettings) -> None:
    """Refuse an encoder that there is not, or that cannot make the file asked for. Raises SpecError."""
    if name == "auto":
        return
    if name not in ENCODERS:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpecError(
            f"there is no encoder {name!r}",
            hint=f"{hint}encoders: {', '.join(NAMES)}; any other codec of FFmpeg by video_codec in manim.cfg",
        )
    reason = unfit(ENCODERS[name], settings)
    if reason:
        raise SpecError(f"the encoder {name!r} {reason}", hint="leave --encoder out, or choose another --format")


def unfit(encoder: Encoder, settings: RenderSettings) -> str | None:
    """Say why the encoder cannot make the file that is asked for; None when it can."""
    container = settings.format or ("mov" if settings.transparent else "mp4")
    if container not in encoder.containers:
        return f"cannot make {container} files, only {' and '.join(encoder.containers)}"
    return "keeps no transparency" if settings.transparent else None
