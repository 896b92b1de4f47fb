"""Turns what FFmpeg logs when NVENC does not open into a cause and a hint."""

from __future__ import annotations

import re

from backends.problem import Problem
from backends.processes import isolated_command
from renderer.system.run import run_program

_GPUS_WITH_NVENC = (
    "use a GPU with a video encoder (T4, L4, A10, L40S or RTX PRO 6000; A100, H100, H200 and B200 have none): "
    "`renderer gpus` lists them with their codecs"
)

# (pattern in the log, cause, hint). The messages are those of FFmpeg's libavcodec/nvenc.c and of the loader that it
# uses (nv-codec-headers), versions 4.4 to 8.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"Cannot load libcuda\.so",
        "there is no NVIDIA driver here",
        "run it where there is a GPU: --gpu L4, not on the local backend, or `docker run --gpus all` of your own",
    ),
    (
        r"Cannot load libnvidia-encode\.so",
        "the driver's video library libnvidia-encode is not in this container",
        "set NVIDIA_DRIVER_CAPABILITIES=compute,utility,video,graphics, as the project's image does",
    ),
    (
        r"Required: (?P<need>[\d.]+) Found: (?P<have>[\d.]+)(?s:.*?driver for nvenc is (?P<driver>\S+))?",
        "the driver{installed} is too old: it has NVENC API {have}, and {need} is required (driver {driver} or newer)",
        "update the node's driver; the ffmpeg in the project's image encodes H.264 and HEVC with drivers from 470 on",
    ),
    (
        r"OpenEncodeSessionEx failed: (out of memory|incompatible client key)",
        "the GPU cannot open another encoding session: its session limit or its memory is used up",
        "run fewer jobs on this GPU at once, or use --encoder x264",
    ),
    (
        r"(?:Codec not supported|does not support the codec)",
        "this GPU's video encoder does not support this codec",
        _GPUS_WITH_NVENC,
    ),
    (r"OpenEncodeSessionEx failed: unsupported device", "this GPU has no video encoder", _GPUS_WITH_NVENC),
    (r"does not support NVENC", "this GPU has no video encoder", _GPUS_WITH_NVENC),
    (
        r"cuInit\(0\) failed(?: -> (?P<why>\w+))?",
        "the NVIDIA driver does not start ({why})",
        "run `nvidia-smi` on the node: the kernel module and the driver's libraries must have the same version",
    ),
    (
        r"No CUDA capable devices found",
        "the NVIDIA driver is installed, but this process has no GPU",
        "check that CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES do not hide it; other backends need --gpu 1",
    ),
    (r"No (?:NVENC )?capable devices found", "this GPU has no video encoder", _GPUS_WITH_NVENC),
    (
        r"(?:Unknown encoder '|UnknownCodecError: )(?P<name>\w+)",
        "this FFmpeg was built without {name}",
        "for H.264 and HEVC use the project's image or Debian's ffmpeg; AV1 needs an NVIDIA driver 570 or newer",
    ),
    (
        r"Error setting option (?P<option>\S+) to value (?P<value>.*?)\.?(?:$|\n)",
        "its option {option} does not accept {value!r}",
        "correct [video_encoder.options] in manim.cfg; `ffmpeg -h encoder=NAME` lists the options",
    ),
)


def diagnose_log(log: str) -> Problem:
    """Return the first known cause that the log shows; otherwise, a Problem with the last line of the log.

    The message is a clause, such as "this GPU has no video encoder". The caller puts the encoder's name before it.
    """
    for pattern, cause, hint in _CAUSES:
        if found := re.search(pattern, log):
            values = {name: text or "unknown" for name, text in found.groupdict().items()}
            installed = _installed_version() if "{installed}" in cause else ""
            return Problem(message=cause.format(**values, installed=installed), hint=hint)
    lines = [line.strip() for line in log.splitlines() if line.strip() not in {"", "Conversion failed!"}]
    return Problem(
        message=lines[-1] if lines else "it gave no reason",
        hint="run `renderer doctor`: it checks the driver, the GPU and the container",
    )


def _installed_version() -> str:
    """Return a space and the driver's version, or an empty text if the version is unknown.

    A separate process reads it, because a process that has used the driver must not fork chunk renderers.
    """
    code, version = run_program(isolated_command("renderer.system.nvml"))
    return f" {version}" if code == 0 else ""
