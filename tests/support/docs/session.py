"""Runs the commands of a page as a reader would, one after the other, and compares what they print with the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from support.commands import BIN, environment
from support.docs.pages import ROOT, Block, Command, commands

_PASSING = re.compile(r"the worker is starting|\S+: running")  # states that end between two looks at a short job
_HANDLE = re.compile(r"(local://[a-z]+-)[0-9a-f]{6}|k8s://\S+-[0-9a-f]{6}")


class Session:
    """A reader's folder, ``home/videos``, with the repository's examples in it."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.folder = home / "videos"
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        for example in (ROOT / "examples").glob("*.py"):
            shutil.copy(example, self.folder)
        path = f"{BIN}:{os.environ['PATH']}"
        folders = {"XDG_STATE_HOME": str(home / ".local" / "state"), "XDG_CACHE_HOME": str(home / ".cache")}
        self.variables = environment(home, PATH=path, **folders, **variables)
        self.handles: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        """Write the file that the block shows (``python scene.py``), or run its commands.

        The last command ends with 0, or with the code that the block names: ``console exit=10``.
        """
        if block.language != "console":
            (self.folder / block.info).write_text(block.text, "utf-8")
            return
        code = re.search(r"exit=(\d+)", block.info)
        *others, last = commands(block)
        for command in others:
            self._run(command, 0)
        self._run(last, int(code[1]) if code else 0)

    def _run(self, command: Command, code: int) -> None:
        line = command.line
        for name, value in self.handles.items():
            line = line.replace(name, value)
        if exported := re.fullmatch(r"export (\w+)=(.*)", line):
            self.variables[exported[1]] = self._shell(f"printf %s {exported[2]}", stderr=None).stdout
            return
        done = self._shell(line)
        assert done.returncode == code, f"$ {line}\n{done.stdout}"
        self._compare(command, done.stdout)

    def _shell(self, line: str, stderr: int | None = subprocess.STDOUT) -> subprocess.CompletedProcess[str]:
        script = ["bash", "-euo", "pipefail", "-c", line]
        return subprocess.run(
            script,
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
            timeout=600,
        )

    def _compare(self, command: Command, printed: str) -> None:
        """Look for the lines of the page in their order; ``…`` stands for anything, a handle for the real one.

        A state that passes may be missing: whether somebody sees it depends on how busy the machine is.
        """
        rest = iter(printed.splitlines())
        for shown in command.shown:
            if shown.strip() == "…" or (_PASSING.fullmatch(shown.strip()) and shown not in printed):
                continue
            pattern = re.compile(self._pattern(shown.strip()))
            found = next((match for line in rest if (match := pattern.fullmatch(line.strip()))), None)
            assert found, f"$ {command.line}\ndid not print {shown!r}, but:\n{printed}"
            for handle, real in zip(_HANDLE.finditer(shown), found.groups(), strict=True):
                self.handles[handle[0]] = real
                self.handles[handle[0].partition("://")[2]] = real.partition("://")[2]

    def _pattern(self, shown: str) -> str:
        text, end = "", 0
        for handle in _HANDLE.finditer(shown):
            known = self.handles.get(handle[0])
            same = (
                re.escape(known) if known else r"k8s://\S+" if not handle[1] else re.escape(handle[1]) + "[0-9a-f]{6}"
            )
            text += _escape(shown[end : handle.start()]) + f"({same})"
            end = handle.end()
        return text + _escape(shown[end:])


def _escape(text: str) -> str:
    return ".*".join(map(re.escape, text.split("…")))
