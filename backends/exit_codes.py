"""The exit codes of the command line and of the worker. They mean the same in a shell, a Job and at Modal."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class ExitCode(enum.IntEnum):
    """How a command or a worker ended. MEANINGS explains each code."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    BACKEND = 4
    TRANSIENT = 5
    OUTPUT = 6
    USER_CODE = 10
    ENCODER = 12
    OUT_OF_MEMORY = 13
    INPUT = 14
    LOST = 16
    CANCELLED = 17
    TIMEOUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.INTERNAL: "a defect in renderer itself; please report it",
    ExitCode.USAGE: "the command, the configuration or the input is wrong; nothing was sent",
    ExitCode.NOT_FOUND: "the backend has no job with that handle",
    ExitCode.BACKEND: "the backend refused, or is not set up",
    ExitCode.TRANSIENT: "the backend did not answer, or the job did not end, in time; try again",
    ExitCode.OUTPUT: "outputs could not be written, stored or verified",
    ExitCode.USER_CODE: "the scene or script raised an error or exited with one",
    ExitCode.ENCODER: "the video encoder failed, or the one asked for is not there",
    ExitCode.OUT_OF_MEMORY: "the kernel ended the render because memory ran out",
    ExitCode.INPUT: "the job's inputs are missing or damaged",
    ExitCode.LOST: "the worker was killed or its machine went away",
    ExitCode.CANCELLED: "the job was cancelled",
    ExitCode.TIMEOUT: "the job ran longer than --timeout",
    ExitCode.INTERRUPTED: "Ctrl-C, SIGTERM or SIGHUP: the command stopped watching; a submitted job goes on",
    ExitCode.TERMINATED: "the worker was told to stop: cancelled, evicted or preempted",
}
MORE_MEMORY = "raise --memory; a scene needs less at a lower resolution, too"  # for OUT_OF_MEMORY
