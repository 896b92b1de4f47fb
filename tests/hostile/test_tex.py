"""A formula whose text comes from a stranger reads, writes and starts nothing outside the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine.renders import EngineRender, order_render, render_with_engine, render_with_manim
from support.commands import SMALL, environment, renderer

from backends.exit_codes import ExitCode

FILE = Path(__file__).parent / "scenes" / "formula.py"
DRAWING = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n0 0 moveto 20 20 lineto 20 0 lineto closepath fill\n"

pytestmark = pytest.mark.slow

# In the formulas SECRET and DRAWING are files beside the project, PROJECT is its path, WRITTEN what they try to write.
REFUSED = {  # TeX ends with an error
    "absolute path": r"\input{SECRET}",
    "parent": r"\input{../secret.tex}",
    "parent of a folder": r"\input{parts/../../secret.tex}",
    "absolute path into the project and out": r"\input{PROJECT/../secret.tex}",
    "hidden file": r"\input{.hidden.tex}",
    "image": r"\includegraphics{DRAWING}",
    "listing": r"\lstinputlisting{SECRET}",
    "output of a program": r"\input{|\"touch WRITTEN\"}",
    "write": r"\newwrite\f\immediate\openout\f=WRITTEN \immediate\write\f{x}a",
    "write to the parent": r"\newwrite\f\immediate\openout\f=../written \immediate\write\f{x}a",
}
WITHOUT_EFFECT = {  # shows "a" where nothing was read or started, as TeX then goes on
    "read": r"\newread\f\openin\f=SECRET \ifeof\f a\else bbb\fi",
    "part of a file": r"\edef\x{\pdffiledump offset 0 length 9{SECRET}}\ifx\x\empty a\else bbb\fi",
    "size of a file": r"\edef\x{\pdffilesize{SECRET}}\ifx\x\empty a\else bbb\fi",
    "digest of a file": r"\edef\x{\pdfmdfivesum file{SECRET}}\ifx\x\empty a\else bbb\fi",
    "shell": r"\immediate\write18{touch WRITTEN}a",
    "restricted shell": r"\immediate\write18{kpsewhich -help > WRITTEN}a",
}
POSTSCRIPT = {  # dvisvgm ends with an error
    "read": r"\special{ps: (SECRET)(r)file read pop}a",
    "relative path": r"\special{ps: (../secret.tex)(r)file read pop}a",
    "absolute path into the project and out": r"\special{ps: (PROJECT/../secret.tex)(r)file read pop}a",
    "write": r"\special{ps: (WRITTEN)(w)file dup (x) writestring closefile}a",
    "write in the project": r"\special{ps: (PROJECT/parts/new)(w)file dup (x) writestring closefile}a",
    "program": r"\catcode37=12 \special{ps: (%pipe%touch WRITTEN)(w)file closefile}a",
    "delete": r"\special{ps: (SECRET)deletefile}a",
    "rename": r"\special{ps: (SECRET)(WRITTEN)renamefile}a",
    "run": r"\special{ps: (DRAWING)run}a",
    "without a prefix": r'\special{" (SECRET)(r)file read pop}a',
    "continued": r"\special{ps::[begin] (SECRET)(r)file read pop}a",
    "parameters": r"\special{ps: << /PermitFileReading [(*)] >> setuserparams (SECRET)(r)file read pop}a",
    "literal header": r"\special{! (SECRET)(r)file read pop}a",
    "image": r"\special{psfile=DRAWING llx=0 lly=0 urx=20 ury=20 rwi=200}a",
    "permission": r"\special{ps: /PermitFileReading (*) .addcontrolpath (SECRET)(r)file read pop}a",
    "restore": r"\special{ps: clear grestoreall (SECRET)(r)file read pop}a",
}


class Project:
    """A project, with a secret and a drawing beside it."""

    def __init__(self, work: Path) -> None:
        self.folder = work / "engine"
        self.secret, self.drawing, self.written = work / "secret.tex", work / "drawing.eps", work / "written"
        self.secret.write_text("The secret")
        self.drawing.write_text(DRAWING)

    def render(self, formulas: list[str], **environ: str) -> list[EngineRender]:
        orders = [self._order(at, "Formula", {"FORMULA": text, **environ}) for at, text in enumerate(formulas)]
        return render_with_engine(self.folder, FILE, orders)

    def _order(self, at: int, scene: str, environ: dict[str, str]) -> dict[str, Any]:
        names = {"PROJECT": self.folder / "project", "SECRET": self.secret, "DRAWING": self.drawing}
        for name, path in {**names, "WRITTEN": self.written}.items():
            environ["FORMULA"] = environ["FORMULA"].replace(name, str(path))
        return order_render(self.folder, FILE, scene, folder=str(self.folder / f"{at:03}"), environ=environ)

    def check_untouched(self) -> None:
        assert self.secret.read_text() == "The secret"
        assert not self.written.exists()
        assert not (self.folder / "project" / "written").exists()
        assert not (self.folder / "project" / "parts" / "new").exists()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_tex_reads_and_writes_only_files_of_the_project(project: Project) -> None:
    for attack, found in zip(REFUSED, project.render(list(REFUSED.values())), strict=True):
        assert found.report.get("error") == "ValueError", attack
        assert "latex error converting to dvi" in found.report["text"], attack
    project.check_untouched()


def test_tex_learns_nothing_of_other_files_and_starts_no_program(project: Project) -> None:
    plain, *others = project.render(["a", *WITHOUT_EFFECT.values()])
    for attack, found in zip(WITHOUT_EFFECT, others, strict=True):
        assert found.frames == plain.frames, attack
    project.check_untouched()


def test_postscript_opens_only_files_of_the_project(project: Project) -> None:
    for attack, found in zip(POSTSCRIPT, project.render(list(POSTSCRIPT.values())), strict=True):
        assert found.report.get("error") == "ValueError", attack
        assert "converting .dvi files to SVG" in found.report["text"], attack
    project.check_untouched()


def test_formulas_of_a_project_look_as_with_plain_manim(tmp_path: Path) -> None:
    scenes = ["Own", "Pdf", "OtherFolder"]
    manim = render_with_manim(tmp_path / "manim", FILE, scenes)
    work = tmp_path / "engine"
    found = render_with_engine(work, FILE, [order_render(work, FILE, scene) for scene in scenes])
    for scene, one in zip(scenes, found, strict=True):
        assert one.report.get("error") is None, one.report
        assert one.frames == manim[scene].frames, scene
        assert one.frames


def test_a_variable_that_the_user_sets_counts(project: Project) -> None:
    (found,) = project.render([r"\input{SECRET}"], openin_any="a")
    assert found.report.get("error") is None
    assert found.frames


def test_a_job_says_which_files_tex_opens(project: Project, tmp_path: Path) -> None:
    (tmp_path / "formula.py").write_bytes(FILE.read_bytes())
    env = environment(tmp_path / "home", FORMULA=rf"\input{{{project.secret}}}")
    done = renderer("submit", "formula.py", "Formula", *SMALL, cwd=tmp_path, env=env)
    assert done.returncode == ExitCode.USER_CODE
    assert "TeX cannot typeset a formula: LaTeX Error: File `/" in done.stderr
    assert "TeX opens only files of the project, by relative paths" in done.stderr
    assert "The secret" not in done.stderr + done.stdout
    log = next((tmp_path / "home").rglob("log.txt")).read_text()
    assert "Not reading from" in log
    assert "/dev/null" not in log


@pytest.mark.parametrize(
    ("formula", "exit_code"), [("a", ExitCode.OK), (r"\input{SECRET}", ExitCode.USER_CODE)], ids=["plain", "attack"]
)
def test_the_default_state_folder_is_hidden_and_does_not_matter(
    formula: str, exit_code: ExitCode, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "formula.py").write_bytes(FILE.read_bytes())
    env = environment(tmp_path / "home", FORMULA=formula.replace("SECRET", str(project.secret)))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        del env[name]
    done = renderer("submit", "formula.py", "Formula", *SMALL, cwd=tmp_path, env=env)
    assert done.returncode == exit_code, done.stderr
    assert next((tmp_path / "home" / ".local" / "state").rglob("log.txt"))
