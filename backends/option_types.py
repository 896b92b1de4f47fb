"""Types for settings that are times, sizes or lists, and a function that declares a setting for the command line."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo

DURATION_FORM = "write a time like 90s, 10m, 1h30m or 2d"
SIZE_FORM = "write a size like 512Mi, 1.5Gi or 10G"
ANY_TEXT = "TEXT"  # the placeholder of a value whose form is not said
PAIR_FORM = "write it as KEY=VALUE"

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {
    **{letter + "i": 1024**power for power, letter in enumerate("KMGTP", 1)},
    **{letter: 1000**power for power, letter in enumerate("KMGTP", 1)},
    "k": 1000,
}
_MIB = 2**20
_NUMBER = r"\d+(?:\.\d+)?"


def parse_duration(text: str) -> float:
    """Parse a time such as ``1m30s``, and return the seconds; a plain number is seconds. Raises ValueError."""
    compact = text.replace(" ", "")
    if re.fullmatch(_NUMBER, compact):
        return float(compact)
    if not re.fullmatch(rf"(?:{_NUMBER}[dhms])+", compact):
        raise ValueError(DURATION_FORM)
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(rf"({_NUMBER})([dhms])", compact))


def format_duration(seconds: float) -> str:
    """Return the shortest way to write a time: 90 is ``1m30s``."""
    text, rest = "", seconds
    for unit, length in _SECONDS.items():
        count, rest = divmod(rest, length) if unit != "s" else (rest, 0)
        text += f"{count:g}{unit}" if count else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Parse a size such as ``10Gi``, and return the MiB, rounded up; a plain number is MiB. Raises ValueError."""
    match = re.fullmatch(rf"({_NUMBER}) ?(?:([KMGTP]i?|k)B?)?", text.strip())
    if not match:
        raise ValueError(SIZE_FORM)
    return math.ceil(float(match[1]) * (_BYTES[match[2]] if match[2] else _MIB) / _MIB)


def format_size(mib: int) -> str:
    """Return the shortest way to write a size: 10240 is ``10Gi``."""
    return f"{mib // 1024}Gi" if mib and mib % 1024 == 0 else f"{mib}Mi"


def parse_pairs(value: object) -> object:
    """Return a dict from ``KEY=VALUE`` texts: a list of them, or one text with commas. A dict is returned as it is.

    Raises ValueError.
    """
    items = _split_commas(value)
    if not isinstance(items, (list, tuple)):
        return value
    pairs = [str(item).partition("=") for item in items]
    if any(not separator or not key for key, separator, _ in pairs):
        raise ValueError(PAIR_FORM)
    return {key: text for key, _, text in pairs}


def _split_commas(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _split_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError as error:  # "No closing quotation"
        raise ValueError("a quotation mark is not closed, or a backslash is at the end") from error


def _text(parse: Callable[[str], object], form: str) -> BeforeValidator:
    """Return a validator that parses texts. Numbers, as a configuration file has them, are not changed."""

    def read(value: object) -> object:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(form)  # noqa: TRY004  # pydantic shows the words of no other
        return value

    return BeforeValidator(read)


def longest(days: int) -> AfterValidator:
    """Return a validator that refuses a time of more than ``days`` days."""

    def check(seconds: float) -> float:
        if seconds > days * _SECONDS["d"]:
            raise ValueError(f"the longest time is {days}d")
        return seconds

    return AfterValidator(check)


def at_least(size: str) -> AfterValidator:
    """Return a validator that refuses less than this ``size``, such as 32Mi."""

    def check(mib: int) -> int:
        if mib < parse_size(size):
            raise ValueError(f"the smallest size is {size}")
        return mib

    return AfterValidator(check)


Duration = Annotated[float, _text(parse_duration, DURATION_FORM), Field(gt=0)]  # in seconds
WholeDuration = Annotated[
    int, _text(lambda text: math.ceil(parse_duration(text)), DURATION_FORM), Field(gt=0)
]  # in seconds
Size = Annotated[int, _text(parse_size, SIZE_FORM), Field(gt=0)]  # in MiB
KeyValues = Annotated[dict[str, str], BeforeValidator(parse_pairs)]
CommaWords = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]  # a,b,c
ShellWords = Annotated[tuple[str, ...], BeforeValidator(_split_words)]  # as a shell splits a line


@dataclass(frozen=True, kw_only=True)
class OptionInfo:
    """How the command line shows a setting: ``group`` is its heading in the help, ``flags`` are its flags.

    Without ``flags``, the flag is the setting's name. ``value`` is the placeholder of the value in the help.
    ``repeated``: the flag may be given several times. ``choices`` are suggestions of shell completion.
    """

    group: str
    flags: tuple[str, ...]
    value: str
    repeated: bool
    choices: tuple[str, ...]

    def flags_of(self, name: str) -> tuple[str, ...]:
        """Return the flags of the setting with this name."""
        return self.flags or ("--" + name.replace("_", "-"),)


def option(
    default: object,
    description: str,
    *flags: str,
    group: str = "Other",
    value: str = ANY_TEXT,
    repeated: bool = False,
    choices: Sequence[str] = (),
) -> Any:
    """Return the pydantic field of a setting; the arguments after the description are those of OptionInfo."""
    info = OptionInfo(group=group, flags=flags, value=value, repeated=repeated, choices=tuple(choices))
    return Field(default, description=description, json_schema_extra=asdict(info))


def option_info(field: FieldInfo) -> OptionInfo | None:
    """Return the OptionInfo of a field; None for a field that was not declared by ``option``."""
    extra = field.json_schema_extra
    return OptionInfo(**extra) if isinstance(extra, dict) else None  # type: ignore[arg-type]  # written by `option`
