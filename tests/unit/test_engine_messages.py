"""Messages between the engine's processes decode to what was encoded; damaged ones are refused."""

from __future__ import annotations

import pytest

from renderer.engine.adapter.scene_state import SceneState, describe_difference
from renderer.engine.parallel import messages
from renderer.engine.parallel.messages import DamagedMessageError, Message

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
