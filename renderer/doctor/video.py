"""Checks the video encoders: encodes a few frames with each."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator

from backends.diagnostics import Check
from backends.problem import Problem
from renderer.video.catalog import ENCODERS
from renderer.video.probe import count_sessions

_PROGRAMS = {"pyav": "PyAV", "ffmpeg": "the ffmpeg program"}


def check_encoders() -> Iterator[Check]:
    """Yield the checks of x264 and, if there is an NVIDIA driver, of NVENC's codecs."""
    if importlib.util.find_spec("av") is not None:
        yield _check_x264()
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        yield Check("NVENC", "ok", "not checked: there is no NVIDIA driver")
        return
    for name in ("nvenc", "hevc_nvenc", "av1_nvenc"):
        yield _check_nvenc(name)


def _check_x264() -> Check:
    found = count_sessions("libx264", "pyav", {}, 1)
    if isinstance(found, int):
        return Check("x264", "ok", "encodes through PyAV")
    return Check("x264", "failure", found.message, "pip install --force-reinstall av")


def _check_nvenc(name: str) -> Check:
    encoder = ENCODERS[name]
    problems: list[str] = []
    hint = None
    for via, program in _PROGRAMS.items():
        found = _probe_nvenc(encoder.codec, via, dict(encoder.options))
        if found is None:
            return Check(name, "ok", "; ".join([f"{encoder.codec} encodes through {program}", *problems]))
        problems.append(f"{program}: {found.message}")
        hint = found.hint
    return Check(name, "warning", f"{encoder.codec} cannot be used. {'; '.join(problems)}", hint)


def _probe_nvenc(codec: str, via: str, options: dict[str, str]) -> Problem | None:
    if via == "pyav" and importlib.util.find_spec("av") is None:
        return Problem(message="PyAV is not installed", hint="pip install av")
    found = count_sessions(codec, via, options, 2)
    return None if isinstance(found, int) else found
