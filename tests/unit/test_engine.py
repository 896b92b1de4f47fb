"""What of the engine works without Manim: messages between its processes, states of scenes, reports of plays."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from renderer.engine.adapter.scene_state import SceneState, describe_difference
from renderer.engine.guards.overrides import find_overridden_method
from renderer.engine.parallel import messages
from renderer.engine.parallel.messages import DamagedMessageError, Message
from renderer.engine.request import MAX_PLAY_REPORTS, PlayReport, select_slowest

STATE = SceneState("digest", (("mobject 1, a Square", "1f"), ("the time", "2e")))
MESSAGES: list[Message] = [
    messages.ManimKeyComputed("key"),
    messages.FramesDrawn(8),
    messages.ChunkDone(3, 3, STATE, 0.5, 0.25),
    messages.PlayMayBeCached(possible=True),
    messages.PlayFound(12, SceneState("digest")),
    messages.PlayMissed(),
    messages.ChunksEncoded(2),
    messages.PlayEncoded(1.5),
    messages.ErrorRaised("raised", "KeyError: 'é\n'", None),
    messages.LogLine("renderer.engine", 10, "line", 1.5, 7),
]
DAMAGED = {
    "an empty line": b"",
    "no name": b'{"frames": 1}',
    "an unknown name": b'Other {"frames": 1}',
    "not JSON": b'FramesDrawn {"frames": 1',
    "not an object": b"FramesDrawn [1]",
    "a missing field": b"FramesDrawn {}",
    "an unknown field": b'PlayMissed {"frames": 1}',
    "a field of another type": b'FramesDrawn {"frames": "1"}',
    "not UTF-8": b'ManimKeyComputed {"key": "\xff"}',
}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_that_decodes_to_the_same(message: Message) -> None:
    line = messages.encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert messages.decode(line) == message


def test_there_is_no_other_message() -> None:
    assert {type(message) for message in MESSAGES} == set(messages.Message.__args__)


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_message_is_refused(line: bytes) -> None:
    with pytest.raises(DamagedMessageError):
        messages.decode(line)


def test_the_first_difference_between_two_states_is_named() -> None:
    other = SceneState("other", (("mobject 1, a Square", "1f"), ("the time", "2f")))
    longer = SceneState("longer", (*STATE.parts, ("mobject 2, a Dot", "3a")))
    assert "is in the time" in describe_difference(STATE, other)
    assert "has nothing where the drawn scene has mobject 2, a Dot" in describe_difference(STATE, longer)
    assert "debug logging was not on" in describe_difference(SceneState("one"), SceneState("two"))


def test_a_report_has_the_slowest_plays_in_order() -> None:
    plays = [
        PlayReport(
            number=number,
            start_s=number,
            frames=60,
            cached=0,
            source="drawn",
            chunks=1,
            processes=1,
            draw_s=number % 7,
            encode_s=number % 5,
        )
        for number in range(3 * MAX_PLAY_REPORTS)
    ]
    found = select_slowest(plays)
    assert len(found) == MAX_PLAY_REPORTS == 100
    assert list(found) == sorted(found, key=lambda play: play.number)
    left_out = [play for play in plays if play not in found]
    assert min(play.draw_s + play.encode_s for play in found) >= max(play.draw_s + play.encode_s for play in left_out)
    assert select_slowest(plays[:7]) == tuple(plays[:7])


def test_a_method_that_a_scene_replaces_later_is_found() -> None:
    names: dict[str, Any] = {"__name__": "manim.camera"}
    exec("class Base:\n    def draw(self): ...\n\nclass Camera(Base): ...", names)  # noqa: S102
    base, camera = names["Base"], names["Camera"]
    manims = base.draw
    wrapping = functools.wraps(manims)(lambda _: None)  # it has the __module__ of Manim's
    for replacement in (lambda _: None, wrapping, functools.cache(wrapping)):
        assert find_overridden_method(camera(), camera) is None
        base.draw = replacement
        assert find_overridden_method(camera(), camera) == "draw"
        base.draw = manims
        camera.draw = replacement
        assert find_overridden_method(camera(), camera) == "draw"
        del camera.draw
