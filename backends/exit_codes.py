"""The exit codes of the command line and of the worker: one contract for shells, Jobs and Modal."""

from __future__ import annotations

import enum
from typing import Self


class ExitCode(enum.IntEnum):
    """What an exit code means; ``meaning`` is the sentence of the table in docs/reference.md."""

    OK = 0, "done"
    INTERNAL = 1, "a defect in renderer itself; run again with --debug and report it"
    USAGE = 2, "the command, the configuration or the input is wrong; nothing was sent"
    NOT_FOUND = 3, "no job with that handle is known there"
    BACKEND = 4, "the place where the job should run refused or is not set up"
    TRANSIENT = 5, "the place where the job runs did not answer; try again"
    OUTPUT = 6, "outputs could not be written, stored or verified"
    USER_CODE = 10, "the scene or script raised an error or exited with one"
    ENCODER = 12, "the video encoder failed or the one asked for is not there"
    OUT_OF_MEMORY = 13, "the kernel ended the render because memory ran out"
    INPUT = 14, "the job's inputs are missing or damaged"
    LOST = 16, "the worker was killed or its machine went away"
    CANCELLED = 17, "the job was cancelled"
    TIMEOUT = 124, "the job ran longer than --timeout"
    INTERRUPTED = 130, "Ctrl-C: the command stopped watching; a submitted job goes on"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Attach the sentence to the number."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code
