"""One description of what went wrong, for every part that explains a failure or a wait to a user."""

from __future__ import annotations

from dataclasses import dataclass

from backends.exit_codes import ExitCode


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What happened, in one sentence, and what to do about it.

    ``details`` are further lines, such as the user's part of a traceback. ``exit_code`` is the code that a command
    ends with because of it; None where the problem does not end the job.
    """

    message: str
    hint: str | None = None
    details: str | None = None
    exit_code: ExitCode | None = None
