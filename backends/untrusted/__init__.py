"""Handles what a job made: names, files, results and text that an attacker may have chosen. Use nothing else for it.

Everything here works on data alone. It raises OutputError (ResultError for a result.json) with one sentence in which
control characters are visible.
"""

from backends.untrusted.files import (
    Readable,
    create_beneath,
    link_between,
    move_beneath,
    open_beneath,
    read_bounded,
    read_exactly,
    read_named,
    stat_beneath,
)
from backends.untrusted.limits import OPEN_FILES, Limits, OutputCounter
from backends.untrusted.logs import LineCutter, LogWriter
from backends.untrusted.names import check_relative_name
from backends.untrusted.results import parse_result
from backends.untrusted.text import show_line, show_text

__all__ = [
    "OPEN_FILES",
    "Limits",
    "LineCutter",
    "LogWriter",
    "OutputCounter",
    "Readable",
    "check_relative_name",
    "create_beneath",
    "link_between",
    "move_beneath",
    "open_beneath",
    "parse_result",
    "read_bounded",
    "read_exactly",
    "read_named",
    "show_line",
    "show_text",
    "stat_beneath",
]
