"""Where settings come from, and how wrong ones are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.errors import SpecError
from renderer import config


def origins(loaded: config.Config) -> dict[str, tuple[object, str]]:
    return {item.key: (item.value, item.origin) for item in loaded if item.origin != "default"}


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "renderer.toml").write_text('quality = "l"\nfps = 10\nretries = 1\n[local]\nkeep_days = 2\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    environ = {"RENDERER_FPS": "20", "RENDERER_RETRIES": "2", "RENDERER_LOCAL_KEEP_DAYS": "3", "OTHER": "x"}
    found = origins(config.load({"retries": 3}, folder=inner, environ=environ))
    assert found == {
        "quality": ("l", str(tmp_path / "renderer.toml")),
        "fps": (20.0, "environment variable RENDERER_FPS"),
        "retries": (3, "flag"),
        "local.keep_days": (3.0, "environment variable RENDERER_LOCAL_KEEP_DAYS"),
    }


def test_pyproject_toml_is_read_where_it_has_a_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.renderer]\noutput = "films"\n')
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    loaded = config.load({}, folder=inner, environ={})
    assert loaded.settings.output == tmp_path / "films"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("qualty = 'l'", "there is no setting 'qualty'", "did you mean 'quality'?"),
        ("[local]\nkeep_day = 1", "there is no setting 'local.keep_day'", "did you mean 'local.keep_days'?"),
        ("fps = 'many'", "fps cannot be 'many'", None),
        ("timeout = [1]", "timeout cannot be [1]", None),
        ("cpu = {}", "write a number", None),
        ("gpu = 3", "write a text", None),
        ("quality = 'x'", "it can be l, m, h, p or k", None),
        ("fps = ", "is not valid TOML", None),
        ("local = 3", "there is no setting 'local'", None),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    (tmp_path / "renderer.toml").write_text(text)
    with pytest.raises(SpecError) as caught:
        config.load({}, folder=tmp_path, environ={})
    assert message in str(caught.value)
    assert "renderer.toml" in str(caught.value)
    if hint:
        assert caught.value.hint == hint


def test_an_unknown_environment_variable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="RENDERER_QUALTY"):
        config.load({}, folder=tmp_path, environ={"RENDERER_QUALTY": "l"})


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800)])
def test_times_are_read(tmp_path: Path, text: str, seconds: float) -> None:
    assert config.load({"timeout": text}, folder=tmp_path, environ={}).settings.timeout == seconds
