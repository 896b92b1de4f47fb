"""Opens the encoders for real."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator

from backends.diagnostics import Check
from renderer.video.catalog import ENCODERS
from renderer.video.diagnosis import Refusal
from renderer.video.probe import sessions

_VIA = {"pyav": "PyAV", "ffmpeg": "the ffmpeg program"}


def lines() -> Iterator[Check]:
    """Give the lines."""
    if importlib.util.find_spec("av") is not None:
        yield _software()
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        yield Check("NVENC", "ok", "not looked for: there is no NVIDIA driver")
        return
    for name in ("nvenc", "hevc_nvenc", "av1_nvenc"):
        yield _nvenc(name)


def _software() -> Check:
    found = sessions("libx264", "pyav", {}, 1)
    if isinstance(found, int):
        return Check("x264", "ok", "encodes through PyAV")
    return Check("x264", "failure", found.reason, "pip install --force-reinstall av")


def _nvenc(name: str) -> Check:
    encoder = ENCODERS[name]
    refusals: dict[str, Refusal] = {}
    for via, words in _VIA.items():
        if via == "pyav" and importlib.util.find_spec("av") is None:
            refusals[via] = Refusal("PyAV is not installed", "pip install av")
            continue
        found = sessions(encoder.codec, via, dict(encoder.options), 2)
        if isinstance(found, int):
            others = "".join(f"; {_VIA[tried]}: {why}" for tried, why in refusals.items())
            return Check(name, "ok", f"{encoder.codec} encodes through {words}{others}")
        refusals[via] = found
    why = "; ".join(f"{_VIA[via]}: {reason}" for via, reason in refusals.items())
    return Check(name, "warning", f"{encoder.codec} does not open. {why}", next(reversed(refusals.values())).remedy)
