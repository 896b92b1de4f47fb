"""Checks which plays have a digest that decides which frames they have, and that others have none."""

from __future__ import annotations

from collections.abc import Callable

from manim import (
    LEFT,
    RIGHT,
    UP,
    Animation,
    Circle,
    Dot,
    FadeIn,
    Mobject,
    Rotate,
    Scene,
    Square,
    Transform,
    Write,
    rate_functions,
)

from renderer.engine.adapter.leap import can_leap, digest_begun_play
from renderer.engine.patches import installer


def main() -> None:
    installer.install_patches()

    def begin(make: Callable[[Square], Animation], *others: Mobject) -> str | None:
        scene, square = Scene(), Square()
        scene.add(*others, square)
        scene.compile_animation_data(make(square))
        scene.begin_animations()
        return digest_begun_play(scene) if can_leap(scene) else None

    known: tuple[Callable[[Square], Animation], ...] = (
        lambda square: square.animate.shift(LEFT).build(),
        lambda square: square.animate.shift(RIGHT).build(),
        FadeIn,
        lambda square: FadeIn(square, shift=UP),
        lambda square: Rotate(square, 1),
        lambda square: Rotate(square, 1, rate_func=rate_functions.squish_rate_func(rate_functions.smooth, 0, 0.5)),
        lambda square: Rotate(square, 1, rate_func=rate_functions.squish_rate_func(rate_functions.smooth, 0, 0.6)),
        Write,
        lambda square: Transform(square, Circle(), path_arc=1),
    )
    digests = [begin(make) for make in known]
    assert None not in digests
    assert len(set(digests)) == len(known)
    assert begin(known[0]) == digests[0] != begin(known[0], Circle())
    assert begin(lambda square: Rotate(square, 1, rate_func=lambda t: t)) is None
    assert begin(known[0], Dot().add_updater(lambda dot: dot)) is None


if __name__ == "__main__":
    main()
