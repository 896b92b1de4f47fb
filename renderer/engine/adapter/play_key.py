"""Two ways to identify a compiled play of a scene: Manim's own cache key, which is slow, and a fast fingerprint."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from manim import Mobject as ManimMobject
from manim.utils.hashing import KEYS_TO_FILTER_OUT

from renderer.engine.manim_types import Mobject, Scene
from renderer.mirrors import mirrors

Fingerprint = tuple[float, ...]
_LEFT_OUT = frozenset(KEYS_TO_FILTER_OUT)


@mirrors("manim.scene.scene:Scene.get_time_progression", sha256="0e88b23e955421a3")
@mirrors("manim.scene.scene:Scene.play_internal", sha256="a2fe4550010522e2")
def count_frames(scene: Scene) -> int:
    """Return the largest number of frames that the compiled play can have; one if it is a wait without motion."""
    from manim import config

    if scene.is_current_animation_frozen_frame():
        return 1
    return len(np.arange(0, scene.get_run_time(scene.animations), 1 / config["frame_rate"]))


def compute_fingerprint(scene: Scene) -> Fingerprint:
    """Return a fingerprint of the compiled play. Plays with different fingerprints have different Manim keys."""
    run_times = sorted(float(animation.run_time) for animation in scene.animations)
    numbers = sorted(map(_list_numbers, scene.animations))
    animated = [mobject for animation in scene.animations if isinstance(mobject := animation.mobject, ManimMobject)]
    points = _hash_points(scene.mobjects), _hash_points(animated)
    return (*run_times, len(scene.mobjects), hash(repr(numbers)), *points)


def _list_numbers(animation: object) -> list[str]:
    """Return the numbers among the attributes of an animation, such as an angle. Manim's key has each of them."""
    return [repr(value) for name, value in vars(animation).items() if type(value) is float and name not in _LEFT_OUT]


def _hash_points(mobjects: Iterable[Mobject]) -> int:
    """Return the sum of hashes of the points of all mobjects and their submobjects. Their order does not count.

    It is zero if Manim's own key does not contain all points: Manim leaves out an attribute ``background``, and the
    second of two equal mobjects.
    """
    total = 0
    for mobject in mobjects:
        for member in iterate_family(mobject):
            has_own_hash = type(member).__hash__ is not object.__hash__
            if isinstance(vars(member).get("background"), ManimMobject) or has_own_hash:
                return 0
            total += hash(member.points.tobytes())
    return total


def iterate_family(mobject: Mobject) -> Iterable[Mobject]:
    """Yield the mobject and all its descendants. One that is in two places is yielded twice, unlike in Manim."""
    stack = [mobject]
    while stack:
        member = stack.pop()
        yield member
        stack.extend(reversed(member.submobjects))


def compute_manim_key(scene: Scene) -> str:
    """Return Manim's cache key of the compiled play."""
    from manim._config.video_encoder import video_encoder_fingerprint
    from manim.utils.hashing import get_hash_from_play_call

    key: str = get_hash_from_play_call(
        scene,
        scene.renderer.camera,
        scene.animations,
        scene.mobjects,
        backend="cairo",
        encoder_fingerprint=video_encoder_fingerprint(scene.session_spec.video_encoder),
        renderer_state=(),
    )
    return key
