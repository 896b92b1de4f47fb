"""The grammar of ``--gpu``, the same for all backends.

``A10G`` is one GPU of that type; ``A10G:2`` two; ``L4,T4`` the first that is free, in this order; ``H100!`` an H100
that Modal must not replace with an H200; ``1`` one of any type; ``mig-1g.10gb`` a MIG slice; ``none`` no GPU. Upper
and lower case are the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from backends.errors import SpecError
from backends.gpus.catalog import GPUS, MIG_PROFILES, Gpu

MAX_COUNT = 16  # the most GPUs that a machine of any cloud has
MODAL_ANY = "A10G"  # for a count without a type, which Modal does not offer
NVENC_CODECS: Mapping[str, str] = {"nvenc": "h264", "h264_nvenc": "h264", "hevc_nvenc": "hevc", "av1_nvenc": "av1"}


@dataclass(frozen=True, kw_only=True)
class GpuChoice:
    """One acceptable type of GPU: a whole one (``gpu``) or a MIG slice (``mig``). Without both, any type.

    ``exact`` is Modal's ``!``: Modal must not replace it with a better one.
    """

    gpu: Gpu | None = None
    exact: bool = False
    mig: str | None = None

    def __str__(self) -> str:
        if self.mig:
            return f"mig-{self.mig}"
        return f"{self.gpu.name}{'!' * self.exact}" if self.gpu else "any"

    def encodes(self, codec: str) -> bool:
        """Return whether this GPU can encode with the codec. A request for any type counts as if it could."""
        candidates = MIG_PROFILES[self.mig] if self.mig else (self.gpu,) if self.gpu else ()
        media = not (self.mig or "").endswith("-me")
        return not candidates or any(media and codec in gpu.codecs for gpu in candidates)


@dataclass(frozen=True, kw_only=True)
class GpuRequest:
    """What ``--gpu`` asks for: ``count`` GPUs of the first of ``choices`` that is free. Without choices, no GPU."""

    choices: tuple[GpuChoice, ...] = ()
    count: int = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if not self:
            return "none"
        if str(self.choices[0]) == "any":
            return str(self.count)
        return ",".join(f"{choice}:{self.count}" if self.count > 1 else str(choice) for choice in self.choices)

    @property
    def resource(self) -> str:
        """The resource to request on Kubernetes: nvidia.com/gpu, or nvidia.com/mig-… for a MIG slice."""
        mig = self.choices[0].mig if self else None
        return f"nvidia.com/mig-{mig.replace('+', '.')}" if mig else "nvidia.com/gpu"

    @property
    def products(self) -> tuple[str, ...]:
        """The acceptable values of the node label nvidia.com/gpu.product, best first; empty if any GPU will do."""
        labels = [label for choice in self.choices if choice.gpu for label in choice.gpu.labels]
        return tuple(dict.fromkeys(labels))

    def modal_names(self) -> list[str]:
        """Return the request in Modal's format, best first; empty for no GPU. Raises SpecError if Modal has it not."""
        return [self._modal_name(choice) for choice in self.choices]

    def _modal_name(self, choice: GpuChoice) -> str:
        if choice.mig:
            raise SpecError(f"Modal has no MIG slices such as {choice}", hint=f"whole GPUs: {', '.join(GPUS)}")
        gpu = choice.gpu or GPUS[MODAL_ANY]
        if self.count > gpu.modal_max:
            raise SpecError(
                f"Modal gives a container at most {gpu.modal_max} {gpu.name}, not {self.count}",
                hint="request fewer; rendering uses one GPU per unit",
            )
        name = gpu.modal + "!" * choice.exact
        return f"{name}:{self.count}" if self.count > 1 else name


def parse_gpu(text: str) -> GpuRequest:
    """Parse the value of ``--gpu``. Raises SpecError; for an unknown GPU, its hint names the most similar one."""
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return GpuRequest()
    if len(words) == 1 and words[0].isdecimal():
        return GpuRequest(choices=(GpuChoice(),), count=_parse_count(words[0], text))
    for word in words:
        if word.isdecimal() or word == "none":
            raise SpecError(f"{word!r} cannot be one fallback of {text!r}", hint="list types, as in L4,T4")
    parsed = [_parse_word(word, text) for word in words]
    choices, counts = zip(*parsed, strict=True)
    resources = {GpuRequest(choices=(choice,), count=1).resource for choice in choices}
    if len(set(counts)) > 1 or len(resources) > 1:
        raise SpecError(
            f"the GPUs of {text!r} differ in what they need: every fallback must have the same count and kind",
            hint="write the count on each (L4:2,T4:2), and do not mix whole GPUs with MIG slices",
        )
    if len(set(choices)) < len(choices):
        raise SpecError(f"{text!r} names a GPU twice", hint="name each fallback once")
    return GpuRequest(choices=choices, count=counts[0])


def require_encoder(request: GpuRequest, encoder: str) -> None:
    """Raise SpecError if the encoder is an NVENC encoder and a GPU of the request does not have it."""
    codec = NVENC_CODECS.get(encoder)
    if codec is None:
        return
    able = ", ".join(gpu.name for gpu in GPUS.values() if codec in gpu.codecs)
    if not request:
        raise SpecError(f"the encoder {encoder!r} needs a GPU, and --gpu is 'none'", hint=f"GPUs with it: {able}")
    unable = [str(choice) for choice in request.choices if not choice.encodes(codec)]
    if unable:
        missing = f"{', '.join(unable)}: no NVENC encoder for {codec} on this GPU"
        raise SpecError(missing, hint=f"GPUs with it: {able}; or --encoder x264")


def _parse_word(word: str, text: str) -> tuple[GpuChoice, int]:
    name, colon, count = word.partition(":")
    choice = _parse_mig(name) if name.lower().startswith("mig-") else _parse_type(name, text)
    return choice, _parse_count(count, text) if colon else 1


def _parse_count(digits: str, text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]?", digits) and int(digits) <= MAX_COUNT:
        return int(digits)
    raise SpecError(
        f"{digits!r} in the GPU request {text!r} is not a count from 1 to {MAX_COUNT}",
        hint="for no GPU write none; for two of a type A10G:2",
    )


def _parse_mig(name: str) -> GpuChoice:
    by_resource = {profile.replace("+", "."): profile for profile in MIG_PROFILES}
    profile = name[len("mig-") :].lower().replace("+", ".")
    if profile in by_resource:
        return GpuChoice(mig=by_resource[profile])
    near = min(by_resource, key=lambda known: (_distance(profile, known), known))
    raise SpecError(f"there is no MIG profile {name!r}", hint=f"did you mean 'mig-{near}'? `renderer gpus` lists them")


def _distance(wrong: str, known: str) -> tuple[int, ...]:
    """Return how different two MIG profiles are: first by slices, then by memory. Use it as a sort key."""
    numbers = [[int(digits) for digits in re.findall(r"\d{1,4}", profile)] for profile in (wrong, known)]
    return tuple(abs(a - b) for a, b in zip(*numbers, strict=False))


def _parse_type(name: str, text: str) -> GpuChoice:
    exact = name.endswith("!")
    key = name.removesuffix("!").upper()
    if key not in GPUS:
        near = difflib.get_close_matches(key.removeprefix("NVIDIA-"), GPUS, 1, 0)
        said = f"{name!r} of {text!r}" if name != text else repr(name)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpecError(f"there is no GPU {said}", hint=f"{hint}`renderer gpus` lists them; 1 takes any, none no GPU")
    if exact and key != "H100":
        raise SpecError(f"{name!r}: only H100! can be pinned", hint=f"write {key}: it is never replaced by another GPU")
    return GpuChoice(gpu=GPUS[key], exact=exact)
