"""Draws the contact sheet: the last frame of each play, with its number, time and line, and the warnings below."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from renderer.engine.preview.timeline import Finding, PlayEntry, Timeline

# The width of a cell for up to so many plays.
_WIDTHS = ((6, 480), (20, 400), (60, 320), (200, 240))
_SMALLEST_WIDTH = 160
_LEAST_WIDTH = 960  # of the sheet
_MARGIN, _GAP = 28, 18
_MOST_WARNINGS = 12  # that are written below
_SHAPE = 1.5  # width to height of the whole sheet, about
_GROUND, _PANEL, _EDGE = "#15181d", "#1d2128", "#343b46"
_TEXT, _QUIET, _WARN = "#eef1f5", "#98a2b0", "#f5b74a"
_CHECKS = ("#2a2f37", "#343a44")  # behind transparent frames

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_sheet(timeline: Timeline, frames: Mapping[int, bytes | None]) -> bytes:
    """Return the contact sheet as PNG; ``frames`` are the PNG files of plays by number."""
    sheet = _Sheet(timeline, frames)
    buffer = io.BytesIO()
    sheet.draw().save(buffer, "png", optimize=len(frames) <= _WIDTHS[1][0])
    return buffer.getvalue()


class _Sheet:
    def __init__(self, timeline: Timeline, frames: Mapping[int, bytes | None]) -> None:
        self._timeline, self._frames = timeline, frames
        count = max(1, len(timeline.plays))
        self._width = next((width for most, width in _WIDTHS if count <= most), _SMALLEST_WIDTH)
        self._height = max(1, round(self._width * timeline.height / timeline.width))
        self._size = 15 if self._width >= 320 else 13 if self._width >= 240 else 11  # noqa: PLR2004
        self._caption = round(self._size * 3.1)
        self._columns = self._choose_columns(count)
        self._warned = {play for warning in timeline.warnings for play in warning.plays}

    def _choose_columns(self, count: int) -> int:
        """Return how many columns give the sheet a pleasant shape."""
        cell = (self._width + _GAP) / (self._height + self._caption + _GAP)
        return max(1, min(count, round(math.sqrt(count * _SHAPE / cell))))

    def draw(self) -> Image.Image:
        """Return the image."""
        rows = -(-max(1, len(self._timeline.plays)) // self._columns)
        inner = self._columns * (self._width + _GAP) - _GAP
        width = max(_LEAST_WIDTH, inner + 2 * _MARGIN)
        left = (width - inner) // 2
        warnings = self._wrap_warnings(width - 2 * _MARGIN)
        top = 104
        below = top + rows * (self._height + self._caption + _GAP)
        image = Image.new("RGB", (width, below + len(warnings) * 22 + (34 if warnings else 8)), _GROUND)
        pen = ImageDraw.Draw(image)
        self._draw_header(pen, width)
        for place, play in enumerate(self._timeline.plays):
            column, row = place % self._columns, place // self._columns
            x, y = left + column * (self._width + _GAP), top + row * (self._height + self._caption + _GAP)
            self._draw_cell(image, pen, play, x, y)
        for place, (text, is_first) in enumerate(warnings):
            y = below + 8 + place * 22
            if is_first:
                pen.polygon([(_MARGIN, y + 13), (_MARGIN + 12, y + 13), (_MARGIN + 6, y + 2)], fill=_WARN)
            pen.text((_MARGIN + 22, y), text, fill=_TEXT if is_first else _QUIET, font=_font(14))
        return image

    def _draw_header(self, pen: ImageDraw.ImageDraw, width: int) -> None:
        timeline = self._timeline
        pen.text((_MARGIN, 24), _fit(timeline.scene, width - 2 * _MARGIN, 28), fill=_TEXT, font=_font(28))
        facts = [
            timeline.file,
            _count(len(timeline.plays), "play"),
            f"{timeline.duration_s:.1f} s",
            f"{timeline.width}x{timeline.height}",
            f"{timeline.fps:g} fps",
            *([_count(len(timeline.sounds), "sound")] if timeline.sounds else []),
            *([_count(len(timeline.subcaptions), "subtitle")] if timeline.subcaptions else []),
            *([_count(len(timeline.sections), "section")] if len(timeline.sections) > 1 else []),
        ]
        text = _fit("   ·   ".join(facts), width - 2 * _MARGIN - 160, 15)
        pen.text((_MARGIN, 64), text, fill=_QUIET, font=_font(15))
        if timeline.warnings:
            label = _count(len(timeline.warnings), "warning")
            pen.text((width - _MARGIN, 64), label, fill=_WARN, font=_font(15), anchor="ra")

    def _draw_cell(self, image: Image.Image, pen: ImageDraw.ImageDraw, play: PlayEntry, x: int, y: int) -> None:
        right, bottom = x + self._width, y + self._height
        content = self._frames.get(play.number)
        if content:
            image.paste(self._shrink(content), (x, y))
        else:
            pen.rectangle((x, y, right - 1, bottom - 1), fill=_PANEL)
            pen.text((x + self._width / 2, y + self._height / 2), "no frame", fill=_QUIET, font=_font(14), anchor="mm")
        is_warned = play.number in self._warned
        pen.rectangle((x - 1, y - 1, right, bottom), outline=_WARN if is_warned else _EDGE)
        self._draw_caption(pen, play, x, bottom)

    def _draw_caption(self, pen: ImageDraw.ImageDraw, play: PlayEntry, x: int, bottom: int) -> None:
        size, y = self._size, bottom + 7
        number = str(play.number)
        color = _WARN if play.number in self._warned else _TEXT
        pen.text((x, y), number, fill=color, font=_font(size + 1))
        indent = x + round(_width(number, size + 1)) + 10
        line = str(play.source).rpartition("/")[2] if play.source else ""
        span = f"{play.start_s:.2f} - {play.end_s:.2f} s"
        room = self._width - (indent - x)
        if _width(f"{span}  {line}", size) <= room:
            pen.text((x + self._width, y), line, fill=_QUIET, font=_font(size), anchor="ra")
            pen.text((indent, y), span, fill=_TEXT, font=_font(size))
        else:
            pen.text((indent, y), _fit(span, room, size), fill=_TEXT, font=_font(size))
        second = _describe(play)
        if _width(f"{span}  {line}", size) > room:
            second = f"line {play.source.line}  {second}" if play.source else second
        pen.text((x, y + size + 5), _fit(second, self._width, size - 1), fill=_QUIET, font=_font(size - 1))

    def _shrink(self, content: bytes) -> Image.Image:
        """Return a frame in the size of a cell; a transparent one on a pattern of squares."""
        frame: Image.Image = Image.open(io.BytesIO(content))
        if frame.size != (self._width, self._height):
            frame = frame.resize((self._width, self._height), Image.Resampling.LANCZOS)
        if frame.mode != "RGBA":
            return frame.convert("RGB")
        ground = Image.new("RGB", frame.size, _CHECKS[0])
        pen = ImageDraw.Draw(ground)
        for row in range(0, self._height, 12):
            for column in range((row // 12 % 2) * 12, self._width, 24):
                pen.rectangle((column, row, column + 11, row + 11), fill=_CHECKS[1])
        ground.paste(frame, mask=frame.getchannel("A"))
        return ground

    def _wrap_warnings(self, width: int) -> list[tuple[str, bool]]:
        """Return the lines below the frames, and whether each is the first one of its warning."""
        lines: list[tuple[str, bool]] = []
        warnings = self._timeline.warnings
        for warning in warnings[:_MOST_WARNINGS]:
            wrapped = _wrap(describe_finding(warning), width - 22, 14)
            lines += [(text, place == 0) for place, text in enumerate(wrapped)]
        if len(warnings) > _MOST_WARNINGS:
            lines.append((f"and {len(warnings) - _MOST_WARNINGS} more, in the JSON file", False))
        return lines


def describe_finding(finding: Finding) -> str:
    """Return a finding in one line: where, what, and in which plays."""
    where = f"{finding.source}: " if finding.source else ""
    plays = _join(finding.plays)
    return f"{where}{finding.message} (play{'s' if len(finding.plays) > 1 else ''} {plays})"


def _join(plays: Sequence[int]) -> str:
    """Return numbers in words: ``1, 2, 5``; of many the first and the last."""
    if len(plays) > 4:  # noqa: PLR2004
        return f"{plays[0]} … {plays[-1]}"
    return ", ".join(map(str, plays))


def _describe(play: PlayEntry) -> str:
    """Return what the play does, in a few words."""
    if play.repeats is not None:
        return f"the same as play {play.repeats}"
    names = [
        animation.name if animation.mobject in {"Mobject", "NoneType"} else f"{animation.name}({animation.mobject})"
        for animation in play.animations
    ]
    names = [name.replace("_MethodAnimation", "animate").lstrip("_") for name in names]
    return ", ".join(names) or "a still image"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


@lru_cache(maxsize=16)
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> float:
    return float(_font(size).getlength(text))


def _fit(text: str, width: float, size: int) -> str:
    """Return as much of the text as fits into the width."""
    if _width(text, size) <= width:
        return text
    while text and _width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrap(text: str, width: float, size: int) -> list[str]:
    """Return the text in lines that fit into the width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(_fit(word, width, size))
    return [line for line in lines if line]
