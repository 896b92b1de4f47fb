"""A terminal in another encoding than UTF-8 shows what it can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.conftest import Run
from support.commands import output

from backends.exit_codes import ExitCode

FAILS = """\
import os
open(os.environ["RENDERER_OUTPUT_DIR"] + "/é→.txt", "w")
print("said é ✓")
raise ValueError("no → é")
"""


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ["x \\xe9.py  failed", "-> renderer logs", "ValueError: no -> \\xe9"]),
        ({"LC_ALL": "C", "LANG": "C"}, ["✗ é.py  failed", "→ renderer logs", "ValueError: no → é"]),
    ],
)
def test_a_failure_is_reported(variables: dict[str, str], lines: list[str], project: Path, run: Run) -> None:
    (project / "é.py").write_text(FAILS, "utf-8")
    done = run("submit", "é.py", "--json", **variables)
    assert done.returncode == ExitCode.USER_CODE
    assert output(done)["units"][0]["details"].endswith("ValueError: no → é")  # JSON has every character
    for command in ("status", "logs"):
        shown = run(command, output(done)["handle"], **variables)
        assert shown.returncode == 0, shown.stderr
        for line in lines if command == "status" else [lines[2]]:
            assert line in shown.stdout


def test_a_name_in_another_script_is_transliterated_for_the_handle(project: Path, run: Run) -> None:
    (project / "電影.py").write_text("print('round')")
    assert output(run("submit", "電影.py", "--json"))["handle"].startswith("local://dianying-")


def test_help_is_shown(run: Run) -> None:
    for arguments in (["--help"], ["submit", "--help"], ["gpus"], ["config"], ["nonsense"]):
        done = run(*arguments, PYTHONIOENCODING="ascii")
        assert "Error" not in done.stderr, done.stderr
        assert done.stdout.isascii()
        assert done.stderr.isascii()


def test_a_path_that_is_not_utf8_is_printed_as_it_is(project: Path, run: Run) -> None:
    folder = os.fsdecode(b"caf\xe9")
    (project / "script.py").write_text("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/a.txt', 'w')\n")
    done = run("submit", "script.py", "--output", folder, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "caf\\udce9/a.txt\n"
