"""Requirements of Python packages that are added to an image, in pip's format."""

from __future__ import annotations


def is_package(text: str) -> bool:
    """Return whether pip could install it: ``cupy-cuda12x==13.3.0``, ``name @ https://…``."""
    from packaging.requirements import InvalidRequirement, Requirement  # 20 ms that few commands need

    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True
