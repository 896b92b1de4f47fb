"""Manim's own public image, in which jobs run where no other image is named."""

from __future__ import annotations

from renderer.system.manim_versions import KNOWN

BACKENDS_WITH_IMAGES = frozenset({"docker", "k8s"})  # Modal builds an image itself
# By tag: its digest cannot be known here, and Manim does not move the tags of its releases.
PUBLIC_IMAGE = f"docker.io/manimcommunity/manim:v{KNOWN[-1]}"


def choose_image(image: str | None, backend: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the image for a job, and sentences about it for the user."""
    if image or backend not in BACKENDS_WITH_IMAGES:
        return image, ()
    what = f"without --image the job runs in Manim's own image, {PUBLIC_IMAGE}"
    return PUBLIC_IMAGE, (f"{what}; NVENC and CUDA need one of `renderer image build`",)
