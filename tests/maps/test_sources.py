"""The inputs of a map: what --over reads, and what it refuses in one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backends.errors import SpecError
from renderer.maps.inputs import MapInput, dump_inputs
from renderer.maps.sources import read_inputs, take_values


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(content: str, name: str = "inputs.jsonl") -> tuple[MapInput, ...]:
    Path(name).write_text(content, "utf-8")
    return read_inputs(name)


@pytest.mark.parametrize(
    ("line", "label", "arguments"),
    [
        ("3", "0", ["3"]),
        ("2.50", "0", ["2.5"]),
        ('"a b/c"', "0-a-b-c", ["a b/c"]),
        ('["x", 1, null]', "0", ["x", "1", "null"]),
        ('{"name": "Été 1", "x": 1, "flag": true, "off": false, "no": null, "list": [1]}', "0-Été 1",
         ["--x", "1", "--flag", "--list", "[1]"]),
        ('{"name": 7}', "0-7", []),
    ],
)  # fmt: skip
def test_a_line_becomes_a_name_and_arguments(line: str, label: str, arguments: list[str]) -> None:
    (item,) = read(f"\n{line}\n")
    assert (item.label, list(item.arguments), item.value) == (label, arguments, json.loads(line))
    assert MapInput.from_line(dump_inputs([item]).decode()) == item


def test_tables_texts_ranges_and_patterns() -> None:
    assert [item.value for item in read('\ufeffname,text\na,"one, two"\nb,three\n', "t.csv")] == [
        {"name": "a", "text": "one, two"},
        {"name": "b", "text": "three"},
    ]
    assert [item.value for item in read('"title; part"\n"a|b"\n', "one.csv")] == [{"title; part": "a|b"}]
    assert [item.value for item in read('[1, {"x": 2},\n\n "three"]\n', "list.json")] == [1, {"x": 2}, "three"]
    assert [item.label for item in read("one\n\ntwo words\n", "list.txt")] == ["0-one", "1-two-words"]
    assert [item.value for item in read_inputs("range:3")] == [0, 1, 2]
    assert [item.value for item in read_inputs("range:5:0:-2")] == [5, 3, 1]
    (Path("data") / "sub").mkdir(parents=True)
    for name in ("b.png", "a.png", "sub/c.png"):
        Path("data", name).touch()
    assert [(item.label, item.value) for item in read_inputs("data/**/*.png")] == [
        ("0-a", "data/a.png"),
        ("1-b", "data/b.png"),
        ("2-c", "data/sub/c.png"),
    ]


@pytest.mark.parametrize(("text", "values"), [('{"x": 1}\n2\n', [{"x": 1}, 2]), ("one\n\ntwo\n", ["one", "two"])])
def test_standard_input(text: str, values: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert [item.value for item in read_inputs("-")] == values


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "inputs.jsonl", "inputs.jsonl has no inputs"),
        ("\n \n", "list.txt", "list.txt has no inputs"),
        ("1\n" * 6 + "{x: 1}\n", "inputs.jsonl", "inputs.jsonl, line 7, is not JSON: Expecting property name"),
        ("NaN", "inputs.jsonl", "inputs.jsonl, line 1, is not JSON: JSON has no NaN"),
        ("[1,\n2,\nx]", "inputs.json", "inputs.json, line 3, is not JSON: Expecting value"),
        ('{"x": 1}', "inputs.json", "inputs.json is not a list"),
        ("[]", "inputs.json", "inputs.json has no inputs"),
        ('[{"name": "a"},\n{"name": "a"}]', "t.json", "t.json, item 2: the name 'a' is that of t.json, item 1, too"),
        ("[" * 200 + "]" * 200, "inputs.jsonl", "line 1, is not JSON: it is nested too deeply"),
        ('"\\ud800"', "inputs.jsonl", "line 1, is not JSON: it has half a surrogate pair"),
        ("1\n" * 10_001, "inputs.jsonl", "inputs.jsonl has more than 10000 inputs"),
        ('{"name": "a/b"}', "inputs.jsonl", "line 1: the name 'a/b' has a slash"),
        ('{"name": ""}', "inputs.jsonl", "line 1: the name '' must have 1 to 100 characters"),
        ('{"name": "a\\u202eb"}', "inputs.jsonl", "has a character or a length that names of files cannot have"),
        ('{"name": [1]}', "inputs.jsonl", "line 1: the name must be a text, not [1]"),
        ('{"name": "a"}\n\n{"name": "A"}', "inputs.jsonl", "line 3: the name 'A' is that of inputs.jsonl, line 1, too"),
        ("a,b\n1\n", "t.csv", "t.csv, line 2 has 1 fields, and the first line has 2"),
        ("a,a\n1,2\n", "t.csv", "t.csv, line 1: the first line must name each column, and each differently"),
        ('a\n"x\n', "t.csv", "is not CSV"),
        ("name;t\na;1\n", "t.csv", "line 1: the columns are separated by semicolons, not by commas"),
        ('\n"name"\t"t"\n"a"\t"1"\n', "t.csv", "line 2: the columns are separated by tabs, not by commas"),
        ("x" * 200_000 + "\n1\n", "t.csv", "is not CSV"),
        ("name,t\na,1\n", "t.tsv", "line 1: the columns are separated by commas, not by tabs"),
    ],
)
def test_bad_inputs_are_refused_in_one_sentence(content: str, name: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(content, name)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("nothing.jsonl", "there is no file nothing.jsonl"),
        ("*.png", "no file matches *.png"),
        (".", ". is a folder"),
        ("range:x", "range:x is not a range"),
        ("range:0:9:0", "range:0:9:0 is not a range"),
        ("range:0", "range:0 has no inputs"),
        ("range:99999999999999", "has more than 10000 inputs"),
    ],
)
def test_what_is_no_source_of_inputs_is_refused(over: str, message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("*", "[*]")):
        read_inputs(over)


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), "\ud800", object()])
def test_values_of_a_program_must_be_json(value: Any) -> None:
    with pytest.raises(SpecError, match="input 1 is not a JSON value"):
        take_values(["fine", value])
