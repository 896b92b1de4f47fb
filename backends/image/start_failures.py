"""Explains messages of container runtimes about an image whose first program cannot be started."""

from __future__ import annotations

import re

_REASONS = (
    (r"exec:? [`\"]?sh\b.*(not found|no such file)", "this image has no shell (sh), which starts the worker"),
    (r"(?i)exec format error", "this image is for another kind of processor than the machine's"),
)


def explain_start_failure(text: str) -> str | None:
    """Return what is wrong with the image, in one sentence; None for another message."""
    return next((reason for pattern, reason in _REASONS if re.search(pattern, text)), None)
