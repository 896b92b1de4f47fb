"""Explains messages of container runtimes about an image whose first program cannot be started."""

from __future__ import annotations

import re

from backends.exit_codes import ExitCode
from backends.problem import Problem

_NEEDS = "use an image that has sh and Python 3.8 or newer; `renderer image build` makes one"
_PROCESSOR = "use an image that is built for it; on Kubernetes --node-selector kubernetes.io/arch=… chooses other nodes"
_REASONS = (
    (r"exec:? [`\"]?sh\b.*(not found|no such file)", "this image has no shell (sh), which starts the worker", _NEEDS),
    (r"(?i)exec format error", "this image is for another kind of processor than the machine's", _PROCESSOR),
)
# Printed where the program would have printed: the runtime has become that program when the kernel refuses it.
_INSTEAD_OF_OUTPUT = re.compile(r"(standard_init_linux\.go:\d+: )?exec .*exec format error")


def explain_start_failure(text: str) -> Problem | None:
    """Return what is wrong with the image; None for another message."""
    return next(
        (
            Problem(message=reason, hint=hint, exit_code=ExitCode.BACKEND)
            for pattern, reason, hint in _REASONS
            if re.search(pattern, text)
        ),
        None,
    )


def explain_only_line(log: str) -> Problem | None:
    """Return what is wrong with the image if the log has one line, in which a runtime says so; None otherwise."""
    line = log.strip()
    return explain_start_failure(line) if _INSTEAD_OF_OUTPUT.fullmatch(line) else None
