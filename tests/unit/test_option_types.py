"""One grammar of times, sizes and lists, whichever setting it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.errors import SpecError
from backends.option_types import format_duration, format_size, parse_duration, parse_size
from renderer import config
from renderer.settings import Settings

DURATIONS = ["timeout", "k8s.deadline", "k8s.ttl", "k8s.collect_timeout"]
SIZES = ["memory", "bundle_limit_mib", "k8s.shm", "k8s.ephemeral_storage"]
PAIRS = ["env", "k8s.labels", "k8s.annotations", "k8s.node_selector", "k8s.secret_files"]
LISTS = ["k8s.image_pull_secrets", "k8s.secret_env", "modal.region", "modal.secrets"]


def load(key: str, value: Any, folder: Path) -> Any:
    settings = config.load({key: value}, folder=folder, environ={}).settings
    table, _, name = key.rpartition(".")
    return getattr(getattr(settings, table) if table else settings, name)


@pytest.mark.parametrize("key", DURATIONS)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("45", 45),
        (45, 45),
        ("1h 30m", 5400),
    ],
)
def test_every_time_is_written_alike(key: str, text: Any, seconds: float, tmp_path: Path) -> None:
    assert load(key, text, tmp_path) == seconds


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize(
    ("text", "mib"),
    [
        *[("512Mi", 512), ("512MiB", 512), ("4Gi", 4096), ("1.5Gi", 1536), ("1.5 GiB", 1536), ("1Ti", 1 << 20)],
        *[("10G", 9537), ("10GB", 9537), ("65536Ki", 64), ("40000k", 39), ("300", 300), (300, 300)],
    ],
)
def test_every_size_is_written_alike(key: str, text: Any, mib: int, tmp_path: Path) -> None:
    assert load(key, text, tmp_path) == mib


@pytest.mark.parametrize("key", PAIRS)
@pytest.mark.parametrize("value", ["a=1,b=x=y", ["a=1", "b=x=y"], {"a": "1", "b": "x=y"}])
def test_every_set_of_pairs_is_written_alike(key: str, value: Any, tmp_path: Path) -> None:
    if key in {"k8s.labels", "k8s.node_selector"}:  # a label cannot hold "="
        value = str(value).replace("x=y", "xy") if isinstance(value, str) else value
        value = ["a=1", "b=xy"] if isinstance(value, list) else value
        value = {"a": "1", "b": "xy"} if isinstance(value, dict) else value
        assert load(key, value, tmp_path) == {"a": "1", "b": "xy"}
    else:
        assert load(key, value, tmp_path) == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize("value", ["one,two", " one, two ", ["one", "two"]])
def test_every_list_is_written_alike(key: str, value: Any, tmp_path: Path) -> None:
    assert load(key, value, tmp_path) == ("one", "two")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        *[(key, value, "write a time like 90s, 10m, 1h30m or 2d") for key in DURATIONS for value in ("soon", "1w", "")],
        *[
            (key, value, "write a size like 512Mi, 1.5Gi or 10G")
            for key in SIZES
            for value in ("big", "4gi", "1.5.2Gi")
        ],
        *[(key, "novalue", "write it as KEY=VALUE") for key in PAIRS],
        *[(key, "0", "it must be more than 0") for key in (*DURATIONS, *SIZES)],
        ("timeout", "8d", "the longest time is 7d"),
        ("memory", "1Mi", "the smallest size is 32Mi"),
        ("k8s.deadline", "31d", "the longest time is 30d"),
        ("k8s.secret_env", "Not_A_Name", "'Not_A_Name' is not a Kubernetes name: use lower-case letters"),
        ("retries", "x", "write a whole number"),
        ("retries", "101", "it must be at most 100"),
        ("fps", "many", "write a number"),
        ("transparent", "perhaps", "write true or false"),
        ("k8s.image_pull_policy", "always", "it can be Always, IfNotPresent or Never"),
    ],
)
def test_an_error_says_how_the_value_is_written(key: str, value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(key, value, tmp_path)
    flag = str(caught.value).partition(" cannot be ")[0]
    assert flag.startswith("--")
    assert key.rpartition(".")[2].startswith(flag[2:].replace("-", "_"))  # the flag of what is repeated is singular
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["1d", "1h30m", "1m30s", "2m", "45s", "1d1h", "0.5s"])
def test_a_time_survives_a_round_trip(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["512Mi", "4Gi", "1536Mi"])
def test_a_size_survives_a_round_trip(text: str) -> None:
    assert format_size(parse_size(text)) == text


def test_the_payload_gets_every_setting_of_manims_own() -> None:
    given = Settings(quality="l", resolution=(160, 90), fps=10, format="png", transparent=True, renderer="opengl")
    render = given.render_settings()
    assert (render.quality, render.resolution, render.fps, render.format) == ("l", (160, 90), 10, "png")
    assert (render.transparent, render.renderer) == (True, "opengl")
