"""A result.json that a job wrote itself: it is parsed by a schema, and a bad one is that unit's failure alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import ResultError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from backends.untrusted import parse_result
from backends.worker_protocol import Output, UnitResult

DIGEST = "0" * 64
GOOD: dict[str, Any] = json.loads(
    UnitResult(
        unit="A",
        exit_code=10,
        outputs=(Output(path="a/b.mp4", size=3, sha256=DIGEST),),
        error=Problem(message="it failed", hint="mend it", details="line 1\nline 2"),
        render={"plays": [1, 2], "parallel": True},
        encoder={"name": "x264"},
        versions={"manim": "0.22"},
        seconds={"total": 1.5},
        started="2026-01-01T00:00:00.000+00:00",
    ).to_json()
)


def parse(content: object) -> UnitResult:
    return parse_result(json.dumps(content).encode(), unit="A")


def test_what_the_worker_writes_is_read_as_it_was() -> None:
    result = parse(GOOD)
    assert json.loads(result.to_json()) == GOOD
    assert result.error
    assert result.error.exit_code == ExitCode.USER_CODE


def test_the_name_of_the_unit_is_the_callers() -> None:
    assert parse({**GOOD, "unit": "../../.ssh"}).unit == "A"


def test_unknown_keys_are_dropped() -> None:
    assert json.loads(parse({**GOOD, "new": 1, "outputs": [{**GOOD["outputs"][0], "mode": 0o4755}]}).to_json()) == GOOD


def _output(**changes: object) -> dict[str, object]:
    return {**GOOD, "outputs": [{**GOOD["outputs"][0], **changes}]}


BAD: dict[str, object] = {
    "list": ["x"], "null": None, "text": "x", "number": 1, "empty": {}, "schema": {**GOOD, "schema": 2},
    "code": {**GOOD, "exit_code": "0"}, "bool code": {**GOOD, "exit_code": True}, "negative": {**GOOD, "exit_code": -1},
    "huge": {**GOOD, "exit_code": 10**30}, "outputs": {**GOOD, "outputs": {}}, "output": {**GOOD, "outputs": ["x"]},
    "many": {**GOOD, "outputs": [{"path": f"{n}", "size": 0, "sha256": DIGEST} for n in range(10_001)]},
    "twice": {**GOOD, "outputs": GOOD["outputs"] * 2}, "absolute": _output(path="/etc/passwd"),
    "up": _output(path="../x"), "path": _output(path=["a"]), "size": _output(size=-1), "size text": _output(size="1"),
    "digest": _output(sha256="x"), "error": {**GOOD, "error": "x"}, "message": {**GOOD, "error": {"message": 1}},
    "long": {**GOOD, "started": "x" * 10**5}, "seconds": {**GOOD, "seconds": {"total": "x"}},
    "many seconds": {**GOOD, "seconds": {"total": 10**400}}, "versions": {**GOOD, "versions": {"a": 1}},
    "started": {**GOOD, "started": 1}, "render": {**GOOD, "render": {"a": [[[[[[[[1]]]]]]]]}},
}  # fmt: skip


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_anything_else_is_refused_in_one_sentence(content: object) -> None:
    with pytest.raises(ResultError, match="the result of A is damaged") as caught:
        parse(content)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 10**6, b'{"a":' * 10**5, b"NaN", b'{"exit_code": 1e999}', b"1" * 10_000, b" " * 2**23],
    ids=["empty", "cut", "not UTF-8", "deep list", "deep object", "NaN", "infinite", "many digits", "large"],
)
def test_what_is_not_json_of_a_usual_size_is_refused(data: bytes) -> None:
    with pytest.raises(ResultError, match="the result of A is damaged"):
        parse_result(data, unit="A")


def test_a_long_error_is_cut() -> None:
    result = parse({**GOOD, "error": {"message": "x" * 10**6}})
    assert result.error
    assert result.error.message == "x" * 2**16


def test_lone_surrogates_are_replaced() -> None:
    result = parse({**GOOD, "error": {"message": "\ud800"}})
    assert result.error
    assert result.error.message == "?"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(GOOD)), inner),
    max_leaves=20,
)


@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_document_raises_anything_else(data: bytes) -> None:
    try:
        result = parse_result(data, unit="A")
    except ResultError:
        return
    assert result.unit == "A"


@given(st.sampled_from(list(GOOD)), _JSON)
def test_no_value_of_a_known_key_raises_anything_else(key: str, value: object) -> None:
    try:
        parse({**GOOD, key: value})
    except ResultError:
        return
