"""The encoder that pipes frames into the ffmpeg program; x264 replaces NVENC where frames are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.disks import mount_small_disk

from backends.errors import OutputError
from backends.exit_codes import ExitCode
from renderer.video.errors import EncoderError
from renderer.video.ffmpeg_encoder import FfmpegEncoder
from renderer.video.frame import Pixels


@dataclass(frozen=True)
class Spec:
    """A VideoEncoderSpec, as Manim has one."""

    codec: str = "libx264"
    options: tuple[tuple[str, str], ...] = (("crf", "10"), ("threads", "1"))
    container_format: str = "mp4"
    pixel_format: str = "yuv420p"
    width: int = 320
    height: int = 180
    frame_rate: Fraction = Fraction(30000, 1001)


def gray(level: int) -> Pixels:
    return np.full((180, 320, 4), level, np.uint8)


def test_frames_come_out_as_they_went_in(tmp_path: Path) -> None:
    target = tmp_path / "a folder" / "video.mp4"
    encoder = FfmpegEncoder(target, Spec())
    levels = [0, 80, 160, 240]
    for level in levels:
        encoder.write(gray(level), 2)
    encoder.finish()
    with av.open(str(target)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (320, 180, Fraction(30000, 1001))
        shown = [frame.to_ndarray(format="rgb24").mean() for frame in video.decode(video=0)]
    assert shown == pytest.approx([level for level in levels for _ in range(2)], abs=3)


def test_nvenc_without_a_driver_fails_with_the_reason_and_leaves_no_file(tmp_path: Path) -> None:
    encoder = FfmpegEncoder(tmp_path / "video.mp4", Spec(codec="h264_nvenc", options=(("preset", "p4"),)))
    with pytest.raises(EncoderError, match="h264_nvenc: there is no NVIDIA driver here") as caught:
        _encode(encoder, 50)
    assert caught.value.exit_code is ExitCode.ENCODER
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_an_error_too(tmp_path: Path) -> None:
    encoder = FfmpegEncoder(tmp_path / "video.mp4", Spec(options=(("preset", "quickest"),)))
    with pytest.raises(EncoderError, match="failed to encode with libx264"):
        _encode(encoder, 50)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mount_small_disk(tmp_path / "small disk", "32k") as folder:
        yield folder


def test_a_full_disk_is_reported_and_no_file_is_left(small_disk: Path) -> None:
    encoder = FfmpegEncoder(small_disk / "video.mp4", Spec(options=(("crf", "0"), ("preset", "ultrafast"))))
    noise = np.random.default_rng(0).integers(0, 255, (180, 320, 4), np.uint8)
    with pytest.raises(OutputError, match="could not be written: No space left on device") as caught:
        _encode(encoder, 50, noise)
    assert caught.value.exit_code is ExitCode.OUTPUT
    assert list(small_disk.iterdir()) == []


def test_an_aborted_encoder_leaves_nothing(tmp_path: Path) -> None:
    encoder = FfmpegEncoder(tmp_path / "video.mp4", Spec())
    encoder.write(gray(9), 1)
    encoder.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_program_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EncoderError, match="the ffmpeg program is not installed"):
        FfmpegEncoder(tmp_path / "video.mp4", Spec())


def _encode(encoder: FfmpegEncoder, frames: int, pixels: Pixels | None = None) -> None:
    encoder.write(gray(9) if pixels is None else pixels, frames)
    encoder.finish()
