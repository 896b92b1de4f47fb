"""Turns what FFmpeg logs when NVENC does not open into a reason and a remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from renderer.system import isolated
from renderer.system.run import ask

_ABLE = "T4, L4, A10, L40S and RTX PRO 6000 have one; A100, H100, H200 and B200 have none (`renderer gpus`)"


@dataclass(frozen=True)
class Refusal:
    """Why an encoder did not open, in one clause, and what to do about it."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return self.reason


# The messages are those of FFmpeg's libavcodec/nvenc.c and of the loader that it uses, 4.4 to 8.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"Cannot load libcuda\.so",
        "there is no NVIDIA driver here",
        "give the job a GPU (--gpu L4); in a container of your own, run it with --gpus all",
    ),
    (
        r"Cannot load libnvidia-encode\.so",
        "the driver's video library libnvidia-encode is not in this container",
        "set NVIDIA_DRIVER_CAPABILITIES=compute,utility,video,graphics, as the project's image does",
    ),
    (
        r"Required: (?P<need>[\d.]+) Found: (?P<have>[\d.]+)(?s:.*?driver for nvenc is (?P<driver>\S+))?",
        "the driver{installed} is too old: it has NVENC API {have}, and {need} is required (driver {driver} or newer)",
        "update the node's driver; the image's ffmpeg program encodes H.264 and HEVC with drivers from 470 on",
    ),
    (
        r"OpenEncodeSessionEx failed: (out of memory|incompatible client key)",
        "the GPU opens no further encoding session: its limit or its memory is used up",
        "run fewer jobs on this GPU at once, or --encoder x264",
    ),
    (r"(?:Codec not supported|does not support the codec)", "this GPU's encoder does not know this codec", _ABLE),
    (r"OpenEncodeSessionEx failed: unsupported device", "this GPU has no video encoder", _ABLE),
    (r"does not support NVENC", "this GPU has no video encoder", _ABLE),
    (
        r"cuInit\(0\) failed(?: -> (?P<why>\w+))?",
        "the driver does not start ({why})",
        "look at `nvidia-smi` on the node: the kernel module and the driver's libraries must have the same version",
    ),
    (
        r"No CUDA capable devices found",
        "the driver is here, but no GPU is given to this process",
        "request one (--gpu 1), and see that CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES do not hide it",
    ),
    (r"No (?:NVENC )?capable devices found", "this GPU has no video encoder", _ABLE),
    (
        r"(?:Unknown encoder '|UnknownCodecError: )(?P<name>\w+)",
        "this FFmpeg was built without {name}",
        "H.264 and HEVC: use the image, or the ffmpeg of Debian or Ubuntu; AV1: a driver of 570 or newer, for PyAV's",
    ),
    (
        r"Error setting option (?P<option>\S+) to value (?P<value>.*?)\.?(?:$|\n)",
        "its option {option} cannot be {value!r}",
        "correct [video_encoder.options] in manim.cfg; `ffmpeg -h encoder=NAME` lists what there is",
    ),
)


def refusal(log: str) -> Refusal:
    """Find the first known cause in what was logged; otherwise give its last line that says something."""
    for pattern, reason, remedy in _KNOWN:
        if found := re.search(pattern, log):
            words = {key: text or "unknown" for key, text in found.groupdict().items()}
            return Refusal(reason.format(**words, installed=_installed() if "{installed}" in reason else ""), remedy)
    lines = [line.strip() for line in log.splitlines() if line.strip() not in {"", "Conversion failed!"}]
    return Refusal(lines[-1] if lines else "it did not say why", "`renderer doctor` looks at driver, GPU and container")


def _installed() -> str:
    """Ask for the driver's version, in a process of its own: one that knows the driver must not fork painters."""
    code, version = ask(isolated.command("renderer.system.nvml"))
    return f" {version}" if code == 0 else ""
