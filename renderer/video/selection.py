"""Chooses the encoder of a job: once, on the machine that renders, before the first scene."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from backends.problem import Problem
from renderer.model import EncoderChoice, EncoderSettings, RenderSettings
from renderer.video.catalog import ENCODERS, check_encoder, find_incompatibility
from renderer.video.diagnosis import diagnose_log
from renderer.video.errors import EncoderError
from renderer.video.probe import count_sessions

_NAMES = {"pyav": "NVENC through PyAV", "ffmpeg": "NVENC through the ffmpeg program"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The encoder that was chosen for a job.

    ``choice`` is None if the engine shall use its own encoder on the CPU. ``why`` has a sentence for each encoder that
    was tried before and cannot be used. ``sessions`` is how many encoders can be open at once (None: any number).
    ``video`` is false when the output is an image, which needs no encoder.
    """

    choice: EncoderChoice | None = None
    video: bool = True
    why: tuple[str, ...] = ()
    sessions: int | None = None

    def log_lines(self) -> list[str]:
        """Return the decision as lines for the job's log."""
        if not self.video:
            return []
        used = f"{self.choice.codec} through {self.choice.via}" if self.choice else "on the CPU"
        return [*self.why, f"video is encoded {used if self.choice is None else 'by ' + used}"]

    def report(self) -> dict[str, str]:
        """Return the decision as fields of ``encoder`` in result.json."""
        if not self.video:
            return {}
        via = {"via": self.choice.via} if self.choice else {"via": "pyav"}
        return via | ({"not_used": "; ".join(self.why)} if self.why else {})


def choose_encoder(encoder: EncoderSettings, settings: RenderSettings, wanted: int) -> Decision:
    """Return the encoder for these settings; ``wanted`` is how many encoders would run at once.

    ``auto`` means NVENC where it works, otherwise the CPU. An NVENC encoder that was requested by name is never
    replaced: EncoderError says why it cannot be used, and what to do. SpecError is raised for a wrong request.
    """
    name = encoder.encoder
    check_encoder(name, settings)
    if settings.format in {"png", "png-sequence"}:
        return Decision(video=False)
    if name == "auto":
        return _choose_automatically(settings, wanted)
    if not ENCODERS[name].nvenc:
        return Decision()
    decision, problems = _try_nvenc(name, wanted)
    if decision:
        return decision
    last = list(problems.values())[-1]
    raise EncoderError(f"the encoder {name!r} cannot be used here. {'; '.join(_sentences(problems))}", hint=last.hint)


def _choose_automatically(settings: RenderSettings, wanted: int) -> Decision:
    if reason := find_incompatibility(ENCODERS["nvenc"], settings):
        return Decision(why=(f"NVENC {reason}",))
    decision, problems = _try_nvenc("nvenc", wanted)
    return decision or Decision(why=_sentences(problems))


def _try_nvenc(name: str, wanted: int) -> tuple[Decision | None, dict[str, Problem]]:
    """Try NVENC through PyAV, then through the ffmpeg program. Return the first that works, and what failed before.

    The FFmpeg of the ffmpeg program is usually older than PyAV's, and works with older drivers.
    """
    encoder = ENCODERS[name]
    problems: dict[str, Problem] = {}
    if not _has_driver():
        return None, {"pyav": diagnose_log("Cannot load libcuda.so.1")}
    for via in ("pyav", "ffmpeg"):
        found = count_sessions(encoder.codec, via, dict(encoder.options), wanted)
        if isinstance(found, int):
            choice = EncoderChoice(codec=encoder.codec, pixel_format="yuv420p", options=encoder.options, via=via)
            return Decision(choice=choice, why=_sentences(problems), sessions=found), problems
        problems[via] = found
    return None, problems


def _sentences(problems: dict[str, Problem]) -> tuple[str, ...]:
    return tuple(f"{_NAMES[via]}: {problem.message}" for via, problem in problems.items())


def _has_driver() -> bool:
    """Return whether NVIDIA's driver library is installed. It is only loaded: after its use, forking is not safe."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
