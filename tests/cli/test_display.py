"""What commands print for people: headers, units, help, and what would be sent."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Run
from support.commands import output


def test_the_list_has_a_header_and_columns(project: Path, run: Run) -> None:
    assert run("list").stdout == ""
    (project / "a.py").write_text("print(1)\n")
    (project / "much longer.py").write_text("print(1)\n")
    for file in ("a.py", "much longer.py"):
        run("submit", file)
    header, *rows = run("list").stdout.splitlines()
    assert header.split() == ["HANDLE", "STATE", "UNITS", "CREATED"]
    assert len(rows) == 2
    assert {row.index("succeeded") for row in rows} == {header.index("STATE")}


def test_settings_are_shown_as_a_user_would_write_them(run: Run) -> None:
    lines = run("config", "--memory", "4Gi", "--timeout", "90m").stdout.splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines}
    assert shown["timeout"] == "1h30m"
    assert shown["memory"] == "4Gi"
    assert shown["output_limit"] == "20Gi"
    assert shown["untrusted"] == "false"
    assert run("submit", "x.py", "--timeout", shown["timeout"]).stderr.startswith("renderer: there is no file x.py")


def test_every_command_has_h_for_help(run: Run) -> None:
    for command in ("submit", "scenes", "list", "doctor"):
        assert run(command, "-h").stdout == run(command, "--help").stdout != ""


def test_a_dry_run_shows_the_sandbox_of_an_untrusted_job(project: Path, run: Run) -> None:
    (project / "script.py").write_text("print(1)\n")
    done = run("submit", "script.py", "--untrusted", "--memory", "2Gi", "--dry-run")
    assert '"network": "none"' in done.stdout
    assert '"memory_mib": 2048' in done.stdout
    assert '"sandbox"' not in output(run("submit", "script.py", "--dry-run", "--json"))["request"]
