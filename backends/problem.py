"""The type that explains to a user why something failed or waits. All backends and the worker use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What happened, in one sentence (``message``), and what to do about it (``hint``).

    ``details`` are further lines, such as the user's part of a traceback. ``exit_code`` is the exit code of a command
    or a worker that ends because of the problem (see backends.exit_codes); None if the problem does not end the job.
    ``from_job`` says that the job itself wrote the texts: its hint is not our advice.
    """

    message: str
    hint: str | None = None
    details: str | None = None
    exit_code: int | None = None
    from_job: bool = False
