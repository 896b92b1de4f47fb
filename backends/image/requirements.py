"""Requirements of Python packages that are added to an image or a job, in pip's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from backends.errors import OutputError, SpecError
from backends.untrusted import read_named

MOST_BYTES = 2**20  # of a file of requirements


def is_package(text: str) -> bool:
    """Return whether the text is a requirement that pip accepts: ``cupy-cuda12x==13.3.0``, ``name @ https://…``."""
    from packaging.requirements import InvalidRequirement, Requirement  # 20 ms that few commands need

    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _split_packages(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value  # a package may hold commas: numpy>=1,<2


def _check_package(text: str) -> str:
    if not is_package(text):
        raise ValueError(f"{text!r} is not a package; write it as cupy-cuda12x==13.3.0 or name@https://…")
    return text


Packages = Annotated[tuple[Annotated[str, AfterValidator(_check_package)], ...], BeforeValidator(_split_packages)]


def read_requirements(packages: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """Return the lines of the file of --requirements, then those of --with. Raises SpecError for an unreadable file."""
    lines: list[str] = []
    if file is not None:
        try:
            content = read_named(file, MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise SpecError(
                    f"the requirements {str(file)!r} have more than {MOST_BYTES >> 20} MiB",
                    hint="name the packages that the job needs",
                )
            lines = content.decode().splitlines()
        except UnicodeDecodeError as error:
            raise SpecError(f"cannot read the requirements {str(file)!r}: they are not UTF-8") from error
        except OSError as error:
            raise SpecError(f"cannot read the requirements {str(file)!r}: {error.strerror}") from error
        except OutputError as error:
            raise SpecError(f"cannot read the requirements: {error}", hint=error.hint) from error
    return tuple(line for line in map(str.strip, [*lines, *packages]) if line and not line.startswith("#"))


def check_requirement(line: str) -> None:
    """Raise SpecError for a line that pip could not install in the image, such as a file of this machine."""
    text = line.partition(" #")[0].partition(" --hash")[0].rstrip("\\ ")
    if text.startswith(("--index-url", "--extra-index-url", "--find-links", "--pre", "--only-binary", "--hash")):
        return
    if not is_package(text):
        raise SpecError(
            f"{line!r} is not a package that can be installed where the job runs",
            hint="write it as cupy-cuda12x==13.3.0 or name @ https://…; files of this machine cannot be installed",
        )
