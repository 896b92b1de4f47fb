"""Reads what ``--over`` names: a range, a file of inputs, a pattern of files, or standard input."""

from __future__ import annotations

import csv
import glob
import io
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.errors import OutputError, SpecError
from backends.untrusted import check_relative_name, read_named, show_line
from renderer.maps.inputs import MapInput

MOST_INPUTS = 10_000
MOST_BYTES = 64 * 2**20  # of a file of inputs
MOST_DEPTH = 100  # of a value
MOST_ARGUMENT = 128 * 1024 - 1  # bytes of one word on Linux (MAX_ARG_STRLEN, with its final zero)
NAME_LENGTH = 100  # characters; the folder of a unit's outputs has the name
DERIVED_LENGTH = 40  # characters of a name that is made from an input's text
STANDARD_INPUT = "-"
UPLOADED = "inputs that are files must lie in the project (--root chooses a wider folder), and not be left out of it"
FORMS = "name a .jsonl, .json, .csv or text file, 'range:100', a pattern such as 'data/*.png', or - for standard input"

Found = tuple[str, object]  # where an input stands, for messages, and its value


def is_pattern(over: str) -> bool:
    """Return whether ``--over`` is a pattern of files, which are the inputs themselves."""
    return glob.has_magic(over) and not over.startswith("range:") and not Path(over).exists()


def read_inputs(over: str) -> tuple[MapInput, ...]:
    """Return the inputs that ``--over`` names. Raises SpecError, with the line where a file is wrong."""
    if over.startswith("range:"):
        return make_inputs(over, _read_range(over))
    if over == STANDARD_INPUT:
        text = _decode(sys.stdin.buffer.read(MOST_BYTES + 1), "standard input")
        return make_inputs("standard input", _read_text("standard input", text, _guess_ending(text)))
    if is_pattern(over):
        return make_inputs(over, _read_pattern(over), derive=_derive_from_path)
    return make_inputs(Path(over).name, _read_file(Path(over)))


def check_arguments(inputs: Iterable[MapInput]) -> None:
    """Raise SpecError for an input that cannot be on a script's command line."""
    for item in inputs:
        for word in item.arguments:
            if "\0" in word or len(word.encode()) > MOST_ARGUMENT:
                what = "holds a zero character" if "\0" in word else f"has more than {MOST_ARGUMENT >> 10} KiB"
                raise SpecError(
                    f"input {item.index} cannot be an argument: it {what}",
                    hint="put it into a file of the project, and give the file's name",
                )


def relative_to_root(inputs: Iterable[MapInput], root: Path) -> tuple[MapInput, ...]:
    """Return inputs that are files with paths relative to the job's folder. Raises SpecError for one outside it."""
    found = []
    for item in inputs:
        path = Path(item.value).resolve()
        if not path.is_relative_to(root.resolve()):
            raise SpecError(f"{show_line(item.value)} is not a file of the project {root}", hint=UPLOADED)
        name = path.relative_to(root.resolve()).as_posix()
        found.append(replace(item, value=name, arguments=(name,)))
    return tuple(found)


def check_uploaded(inputs: Iterable[MapInput], uploaded: Collection[str]) -> None:
    """Raise SpecError for an input file that is not among the uploaded ones."""
    for item in inputs:
        if item.value not in uploaded:
            raise SpecError(f"{show_line(item.value)} is not uploaded with the job", hint=UPLOADED)


def take_values(values: Iterable[object]) -> tuple[MapInput, ...]:
    """Return the inputs that a program gives as values. Raises SpecError for one that is not JSON."""
    return make_inputs("the map", _take_values(values))


def _take_values(values: Iterable[object]) -> Iterator[Found]:
    for number, value in enumerate(values):
        try:
            text = json.dumps(value, allow_nan=False)
            copy = json.loads(text)
            _check_value(copy)
        except (TypeError, ValueError, RecursionError) as error:
            raise SpecError(f"input {number} is not a JSON value: {error}") from error
        yield f"input {number}", copy


def make_inputs(
    source: str, found: Iterable[Found], *, derive: Callable[[object], str] | None = None
) -> tuple[MapInput, ...]:
    """Return the inputs with their names and arguments. Raises SpecError for bad names, for none and for too many."""
    inputs: list[MapInput] = []
    places: dict[str, str] = {}
    for where, value in found:
        if len(inputs) == MOST_INPUTS:
            raise SpecError(
                f"{show_line(source)} has more than {MOST_INPUTS} inputs", hint="divide it into several maps"
            )
        given = value.get("name") if isinstance(value, Mapping) else None
        name = (derive or _derive)(value) if given is None else check_name(given, where)
        if given is not None:
            folded = unicodedata.normalize("NFC", name).casefold()
            if other := places.get(folded):
                raise SpecError(
                    f"{where}: the name {name!r} is that of {other}, too", hint="give each input a name of its own"
                )
            places[folded] = where
        inputs.append(MapInput(len(inputs), value, name, tuple(_make_arguments(value))))
    if not inputs:
        raise SpecError(f"{show_line(source)} has no inputs", hint=FORMS)
    return tuple(inputs)


def check_name(name: object, where: str) -> str:
    """Return the name that the user gave an input; it becomes part of a folder's name. Raises SpecError."""
    text = str(name) if isinstance(name, int | float) and not isinstance(name, bool) else name
    if not isinstance(text, str):
        raise SpecError(f"{where}: the name must be a text, not {json.dumps(name)[:80]}")
    reason = None
    if "/" in text:
        reason = "has a slash"
    elif not text or text != text.strip() or len(text) > NAME_LENGTH:
        reason = f"must have 1 to {NAME_LENGTH} characters, with no blank at its ends"
    else:
        with suppress(OutputError):
            check_relative_name(f"0-{text}")
            return text
        reason = "has a character or a length that names of files cannot have"
    raise SpecError(
        f"{where}: the name {show_line(text[:NAME_LENGTH])!r} {reason}",
        hint="the name becomes part of the name of a folder",
    )


def _derive(value: object) -> str:
    """Return a name for an input that has none: made from a text; numbers and other values have no name."""
    return _shorten(value) if isinstance(value, str) else ""


def _derive_from_path(value: object) -> str:
    return _shorten(Path(str(value)).stem)


def _shorten(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)[:DERIVED_LENGTH].strip("-._")


def _make_arguments(value: object) -> Iterator[str]:
    """Yield the words of a script's command line: of a list its items, of an object ``--KEY VALUE`` for each key.

    ``name`` is left out: it names the outputs. A key that is true is a flag alone, one that is false or null is no
    argument.
    """
    if isinstance(value, list):
        yield from map(_write, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "name" or item is None or item is False:
                continue
            yield f"--{key}"
            if item is not True:
                yield _write(item)
    else:
        yield _write(value)


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_range(over: str) -> Iterator[Found]:
    """Yield the numbers of ``range:STOP``, ``range:START:STOP`` or ``range:START:STOP:STEP``, as Python counts."""
    match = re.fullmatch(r"range((?::-?[0-9]{1,15}){1,3})", over)
    numbers = [int(word) for word in match[1].split(":")[1:]] if match else []
    if not numbers or numbers[2:] == [0]:
        raise SpecError(
            f"{show_line(over)} is not a range", hint="write range:100 (0 to 99), range:5:10 or range:0:100:10"
        )
    return ((f"{over}, number {number}", number) for number in range(*numbers))


def _read_pattern(over: str) -> Iterator[Found]:
    files = sorted(path for path in glob.iglob(over, recursive=True) if Path(path).is_file())  # noqa: PTH207  # hidden files do not match
    if not files:
        raise SpecError(f"no file matches {show_line(over)}", hint=f"the current folder is {Path.cwd()}; {FORMS}")
    return ((show_line(path), Path(path).as_posix()) for path in files)


def _read_file(path: Path) -> Iterator[Found]:
    if path.is_dir():
        raise SpecError(f"{path} is a folder", hint=f"for its files write '{path}/*'")
    try:
        text = _decode(read_named(path, MOST_BYTES + 1), path.name)
    except FileNotFoundError as error:
        raise SpecError(f"there is no file {path}", hint=FORMS) from error
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}") from error
    except OutputError as error:
        raise SpecError(f"cannot read the inputs: {error}", hint=error.hint) from error
    return _read_text(path.name, text, path.suffix.lower())


def _decode(data: bytes, source: str) -> str:
    if len(data) > MOST_BYTES:
        raise SpecError(
            f"{source} has more than {MOST_BYTES >> 20} MiB", hint="keep data in files of the project, and name those"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError(f"{source}, line {line}, is not UTF-8", hint="save the file as UTF-8") from error


def _guess_ending(text: str) -> str:
    """Return the ending that a file with this text would have: that of JSON lines or of plain text."""
    return ".jsonl" if text.lstrip()[:1] in {"{", "[", '"'} else ".txt"


def _read_text(source: str, text: str, ending: str) -> Iterator[Found]:
    if ending in {".jsonl", ".ndjson"}:
        return _read_json_lines(source, text)
    if ending == ".json":
        return _read_json_list(source, text)
    if ending in {".csv", ".tsv"}:
        return _read_table(source, text, "\t" if ending == ".tsv" else ",")
    return ((f"{source}, line {number}", line) for number, line in _lines(text))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the content of each line that is not empty."""
    for number, line in enumerate(text.split("\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def _read_json_lines(source: str, text: str) -> Iterator[Found]:
    hint = "write one JSON value on each line; a .txt file has one argument on each line"
    for number, line in _lines(text):
        yield f"{source}, line {number}", _parse_json(source, line, hint, first_line=number)


def _read_json_list(source: str, text: str) -> Iterator[Found]:
    """Yield the items of a document that is a list."""
    hint = "write a list of the inputs; a .jsonl file has one JSON value on each line"
    items = _parse_json(source, text, hint) if text.strip() else []
    if not isinstance(items, list):
        raise SpecError(f"{source} is not a list", hint=hint)
    yield from ((f"{source}, item {number}", item) for number, item in enumerate(items, 1))


def _parse_json(source: str, text: str, hint: str, *, first_line: int = 1) -> Any:
    """Return the value of a text that begins at a line of the source. Raises SpecError."""
    line = first_line
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        _check_value(value)
    except (ValueError, RecursionError) as error:
        why = str(error)
        if isinstance(error, json.JSONDecodeError):
            line, why = line + error.lineno - 1, error.msg
        raise SpecError(f"{source}, line {line}, is not JSON: {why}", hint=hint) from error
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _check_value(value: Any, depth: int = MOST_DEPTH) -> None:
    """Raise ValueError for a value that is nested too deeply, or for text that is not Unicode."""
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("it has half a surrogate pair, which is not Unicode") from error
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_value(key, depth - 1)
            _check_value(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth - 1)


_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _read_table(source: str, text: str, delimiter: str) -> Iterator[Found]:
    """Yield each row of a table as a mapping from the first row's words to the row's texts."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        _check_delimiter(source, text, delimiter)
        for row in rows:
            where = f"{source}, line {rows.line_num}"
            if not row:
                continue
            if header is None:
                header = [word.strip() for word in row]
                if not all(header) or len(set(header)) < len(header):
                    raise SpecError(f"{where}: the first line must name each column, and each differently")
            elif len(row) != len(header):
                raise SpecError(f"{where} has {len(row)} fields, and the first line has {len(header)}")
            else:
                yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise SpecError(f"{source}, line {rows.line_num}, is not CSV: {error}") from error


def _check_delimiter(source: str, text: str, wanted: str) -> None:
    """Raise SpecError if the first line has columns only with another delimiter."""
    number, first = next(_lines(text), (1, ""))
    columns = {char: len(next(csv.reader([first], delimiter=char), [])) for char in _DELIMITERS}
    found = max(columns, key=columns.__getitem__)
    if columns[wanted] <= 1 < columns[found]:
        raise SpecError(
            f"{source}, line {number}: the columns are separated by {_DELIMITERS[found]}, not by {_DELIMITERS[wanted]}",
            hint="save the table as .csv with commas, or as .tsv with tabs",
        )
