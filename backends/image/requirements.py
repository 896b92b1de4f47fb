"""Requirements of Python packages that are added to an image, in pip's format."""

from __future__ import annotations


def is_package(text: str) -> bool:
    """Return whether the text is a requirement that pip accepts: ``cupy-cuda12x==13.3.0``, ``name @ https://…``."""
    from packaging.requirements import InvalidRequirement, Requirement  # 20 ms that few commands need

    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True
