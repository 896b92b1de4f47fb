"""Chooses the encoder of a job on the machine where it runs, once, before its scenes are rendered."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from renderer.model import EncoderChoice, EncoderSettings, RenderSettings
from renderer.video.catalog import ENCODERS, check, unfit
from renderer.video.diagnosis import Refusal, refusal
from renderer.video.errors import EncoderError
from renderer.video.probe import sessions

_VIA = {"pyav": "NVENC through PyAV", "ffmpeg": "NVENC through the ffmpeg program"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided. No ``choice``: the engine's own encoder for the kind of file.

    ``why`` has a sentence for each encoder that was tried before it, and not used; ``sessions`` is how many encoders
    may be open side by side (None: any number). Without ``video`` an image is made, and nothing is encoded.
    """

    choice: EncoderChoice | None = None
    video: bool = True
    why: tuple[str, ...] = ()
    sessions: int | None = None

    def lines(self) -> list[str]:
        """Say it for the log."""
        if not self.video:
            return []
        used = f"{self.choice.codec} through {self.choice.via}" if self.choice else "on the CPU"
        return [*self.why, f"video is encoded {used if self.choice is None else 'by ' + used}"]

    def report(self) -> dict[str, str]:
        """Say it for result.json."""
        if not self.video:
            return {}
        via = {"via": self.choice.via} if self.choice else {"via": "pyav"}
        return via | ({"not_used": "; ".join(self.why)} if self.why else {})


def choose(encoder: EncoderSettings, settings: RenderSettings, wanted: int) -> Decision:
    """Choose; ``wanted`` is how many encoders would run side by side. Raises SpecError and EncoderError.

    ``auto`` takes NVENC where it opens and encodes, otherwise the CPU. An NVENC encoder asked for by name is never
    replaced: EncoderError says why it does not open, and what to do.
    """
    name = encoder.encoder
    check(name, settings)
    if settings.format == "png":
        return Decision(video=False)
    if name == "auto":
        return _automatic(settings, wanted)
    if not ENCODERS[name].nvenc:
        return Decision()
    decision, refusals = _nvenc(name, wanted)
    if decision:
        return decision
    reasons = "; ".join(f"{_VIA[via]}: {why}" for via, why in refusals.items())
    last = next(reversed(refusals.values()))
    raise EncoderError(f"the encoder {name!r} cannot be used here. {reasons}", hint=last.remedy)


def _automatic(settings: RenderSettings, wanted: int) -> Decision:
    if reason := unfit(ENCODERS["nvenc"], settings):
        return Decision(why=(f"NVENC {reason}",))
    decision, refusals = _nvenc("nvenc", wanted)
    return decision or Decision(why=tuple(f"{_VIA[via]}: {why}" for via, why in refusals.items()))


def _nvenc(name: str, wanted: int) -> tuple[Decision | None, dict[str, Refusal]]:
    """Try PyAV's FFmpeg first, then the older one of the ffmpeg program, which is content with older drivers."""
    encoder = ENCODERS[name]
    refusals: dict[str, Refusal] = {}
    if not _driver():
        return None, {"pyav": refusal("Cannot load libcuda.so.1")}
    for via in ("pyav", "ffmpeg"):
        found = sessions(encoder.codec, via, dict(encoder.options), wanted)
        if isinstance(found, int):
            choice = EncoderChoice(codec=encoder.codec, pixel_format="yuv420p", options=encoder.options, via=via)
            why = tuple(f"{_VIA[tried]}: {reason}" for tried, reason in refusals.items())
            return Decision(choice=choice, why=why, sessions=found), refusals
        refusals[via] = found
    return None, refusals


def _driver() -> bool:
    """Tell whether the driver's library is here. It is only loaded, not used: that leaves forking safe."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
