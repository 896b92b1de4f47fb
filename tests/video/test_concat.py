"""Films of several plays, byte for byte those of FFmpeg's concat demuxer, which Manim joins them with."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from renderer.video.concat import join_plays

COMMENT = "Rendered with Manim"


@pytest.mark.parametrize("rate", [15, 24, 60])
@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [(".mp4", "libx264", "yuv420p"), (".mov", "libx264", "yuv420p"), (".mov", "qtrle", "argb")],
)
def test_a_film_of_plays_is_the_one_of_the_concat_demuxer(
    suffix: str, codec: str, pixels: str, rate: int, tmp_path: Path
) -> None:
    lengths = (7, 1, 19, 2)
    plays = [tmp_path / f"é {number}{suffix}" for number in range(len(lengths))]
    for play, frames in zip(plays, lengths, strict=True):
        encode(play, frames, codec, pixels, rate)
    join_plays(plays, tmp_path / f"own{suffix}", COMMENT)
    join_as_manim(plays, tmp_path / f"manim{suffix}")
    assert (tmp_path / f"own{suffix}").read_bytes() == (tmp_path / f"manim{suffix}").read_bytes()
    with av.open(tmp_path / f"own{suffix}") as film:
        assert sum(1 for _ in film.decode(video=0)) == sum(lengths)


def encode(path: Path, frames: int, codec: str, pixels: str, rate: int) -> None:
    """Write frames of noise, which need frames of all kinds, with other parameters for each number of frames."""
    noise = np.random.default_rng(frames)
    with av.open(path, mode="w") as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        if codec == "libx264":
            stream.options = {"crf": str(20 + frames)}
        for _ in range(frames):
            picture = noise.integers(0, 256, (48, 64, 4), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        output.mux(stream.encode())


def join_as_manim(plays: list[Path], target: Path) -> None:
    """Do what SceneFileWriter.combine_files of Manim 0.22 does."""
    listed = BytesIO("".join(f"file 'file:{play}'\n" for play in plays).encode())
    with (
        av.open(listed, format="concat", options={"safe": "0", "an": "1"}) as source,
        av.open(target, mode="w") as output,
    ):
        output.metadata["comment"] = COMMENT
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.dts = None
                packet.stream = stream
                output.mux(packet)
