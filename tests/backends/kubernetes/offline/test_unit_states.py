"""The line in which a pod with several units reports them, and the notation of sets of indexes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.kubernetes.objects.termination import SIZE_LIMIT, dump_report, parse_report, parse_unit_reports
from backends.problem import Problem
from backends.untrusted.unit_states import (
    UnitReported,
    count_indexes,
    dump_indexes,
    dump_units,
    parse_indexes,
    parse_units,
)


@given(st.sets(st.integers(0, 300)))
def test_a_set_of_indexes_survives_its_notation(indexes: set[int]) -> None:
    text = dump_indexes(indexes)
    assert set(parse_indexes(text, 300)) == indexes
    assert count_indexes(text) == len(indexes)


def test_what_is_no_set_of_indexes_is_empty() -> None:
    assert list(parse_indexes("0-99999999999,x,-1,3-1,٣,7", 10)) == [7]
    assert list(parse_indexes("0-999999999", 3)) == [0, 1, 2, 3]
    assert count_indexes("") == 0


def test_the_states_of_units_survive() -> None:
    states = {
        3: UnitReported(exit_code=0),
        4: UnitReported(exit_code=10, message="it raised \N{SNOWMAN}"),
        5: UnitReported(progress=42.5, seconds=7.0),
        6: UnitReported(),
    }
    assert parse_units(json.loads(dump_units(states)), range(3, 8)) == states
    assert parse_units(json.loads(dump_units(states)), range(5, 6)) == {5: states[5]}


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nothing_that_a_job_writes_there_is_an_error(content: object) -> None:
    for key in ("ok", "bad", "run"):
        parse_units({key: content}, range(9))
        parse_units({key: {"3": content}}, range(9))
    parse_units(content, range(9))


@pytest.mark.parametrize("length", [10, 1000])
def test_a_hundred_failures_fit_into_a_termination_message(length: int) -> None:
    states = {unit: UnitReported(exit_code=10, message="é" * length) for unit in range(9_900, 10_000)}
    text = dump_report(Problem(message="m" * 5000), states)
    assert len(text) <= SIZE_LIMIT
    found = parse_unit_reports(text.decode(), range(9_900, 10_000))
    assert {unit: state.exit_code for unit, state in found.items()} == dict.fromkeys(range(9_900, 10_000), 10)
    problem = parse_report(text.decode())
    assert problem
    assert problem.message == "m" * 300
