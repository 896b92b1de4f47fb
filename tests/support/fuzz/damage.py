"""Makes damaged copies of valid texts: pieces are removed, repeated, exchanged or replaced by words that matter."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

# What parsers stumble over: structure, limits of numbers, paths, control characters, halves of characters.
_WORDS: tuple[bytes, ...] = (
    b"", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"null", b"true", b"NaN", b"Infinity", b"1e999", b"-1", b"0",
    b"9" * 25, b"9" * 5000, b"1.5", b"[" * 2000, b'{"a":' * 2000, b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\x1b[2J",
    b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\\u202e", "\u202e".encode(), "\u2028".encode(),
    b"../", b"/", b"/etc/passwd", b".", b"..", b"~", b"a" * 300, b"a/" * 700, b'"path"', b'"size"', b'"outputs"',
    b'"exit_code"', b'"schema"', b'"error"', b'"message"', b"openjd_progress: ", b"openjd_status: ", b"openjd_fail: ",
    b"renderer_unit_started: ", b"renderer_unit_ended: ", b"renderer_unit_printed: ", b"renderer_unit_stored: ",
    b"0 ", b"1 ", b"999999 ", b"-1 ", b"nan", b"inf", b"1_0", "\u0661".encode(), b"==", b"renderer: ",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with some damage, or any bytes."""
    if draw(st.integers(0, 15)) == 0:
        return draw(st.binary(max_size=400))
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(start + draw(st.sampled_from([0, 0, 1, 2, 8, 64])), len(data))
        new = draw(st.sampled_from(_WORDS) | st.binary(max_size=8) | st.just(data[start : start + 100]))
        data = data[:start] + new + data[end:]
    return data[:60_000]
