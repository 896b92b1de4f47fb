"""The grammar of ``--gpu``, the same for all backends.

``A10G`` is one GPU of that type; ``A10G:2`` two; ``L4,T4:2`` the first that is free, in this order; ``H100!`` an H100
that Modal must not replace with an H200; ``1`` one of any type, but ``5090`` an RTX-5090; ``mig-1g.10gb`` a MIG slice;
``none`` no GPU. Upper and lower case are the same; blanks and dashes do not count. ``NVIDIA-…`` is a value of the node
label nvidia.com/gpu.product, also if the table does not have it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backends.errors import SpecError
from backends.gpus.catalog import GPUS, MIG_PROFILES, MODAL_GPUS, Gpu

MAX_COUNT = 16  # the most GPUs that a machine of any cloud has
MODAL_ANY = "A10G"  # for a count without a type, which Modal does not offer
# A value of the label nvidia.com/gpu.product, as GPU feature discovery writes it: with dashes for blanks
_LABEL = re.compile(r"(NVIDIA|Tesla|Quadro|GeForce)-[A-Za-z0-9][-A-Za-z0-9_.]{0,50}[A-Za-z0-9]")
_CARD = re.compile(r"[1-9][0-9]{2,3}")  # may be the number of a card
_SHORT = re.compile(r"^(NVIDIA)?(TESLA|GEFORCE)?")  # what people leave out of a name
NVENC_CODECS: Mapping[str, str] = {"nvenc": "h264", "h264_nvenc": "h264", "hevc_nvenc": "hevc", "av1_nvenc": "av1"}


@dataclass(frozen=True, kw_only=True)
class GpuChoice:
    """One acceptable request: ``count`` GPUs of a type (``gpu``), or MIG slices (``mig``). Without both, any type.

    ``exact`` is Modal's ``!``: Modal must not replace it with a better one. ``product`` is the value of a node's label
    for one product: also one that the table does not have.
    """

    gpu: Gpu | None = None
    exact: bool = False
    mig: str | None = None
    product: str | None = None
    count: int = 1

    def __str__(self) -> str:
        count = f":{self.count}" if self.count > 1 else ""
        return f"{self.name}{count}" if self.name != "any" else str(self.count)

    @property
    def name(self) -> str:
        """The type, without the count."""
        if self.mig:
            return f"mig-{self.mig}"
        return self.product or (f"{self.gpu.name}{'!' * self.exact}" if self.gpu else "any")

    @property
    def resource(self) -> str:
        """The resource to request on Kubernetes: nvidia.com/gpu, or nvidia.com/mig-… for a MIG slice."""
        return f"nvidia.com/mig-{self.mig.replace('+', '.')}" if self.mig else "nvidia.com/gpu"

    @property
    def labels(self) -> tuple[str, ...]:
        """The acceptable values of the node label nvidia.com/gpu.product; empty if any will do."""
        if self.product:
            return (self.product, f"{self.product}-SHARED")
        return self.gpu.labels if self.gpu else ()

    def encodes(self, codec: str) -> bool:
        """Return whether this GPU can encode with the codec. A request for any type counts as if it could."""
        candidates = MIG_PROFILES[self.mig] if self.mig else (self.gpu,) if self.gpu else ()
        media = not (self.mig or "").endswith("-me")
        return not candidates or any(media and codec in gpu.codecs for gpu in candidates)


@dataclass(frozen=True, kw_only=True)
class GpuRequest:
    """What ``--gpu`` asks for: the first of ``choices`` that is free. Without choices, no GPU."""

    choices: tuple[GpuChoice, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.choices)

    def __str__(self) -> str:
        return ",".join(map(str, self.choices)) or "none"

    @property
    def count(self) -> int:
        """How many GPUs the first choice has; 0 without a GPU."""
        return self.choices[0].count if self else 0

    @property
    def resource(self) -> str:
        """The resource of the first choice on Kubernetes."""
        return self.choices[0].resource if self else GpuChoice().resource

    @property
    def products(self) -> tuple[str, ...]:
        """The acceptable values of the node label nvidia.com/gpu.product, best first; empty if any GPU will do."""
        return tuple(dict.fromkeys(label for choice in self.choices for label in choice.labels))

    def split(self) -> tuple[GpuRequest, GpuRequest]:
        """Return the choices with the count and the resource of the first, and the others.

        A Job on Kubernetes and a container of docker have one count of one resource.
        """
        alike = [choice.count == self.count and choice.resource == self.resource for choice in self.choices]
        taken = tuple(choice for choice, same in zip(self.choices, alike, strict=True) if same)
        left = tuple(choice for choice, same in zip(self.choices, alike, strict=True) if not same)
        return GpuRequest(choices=taken), GpuRequest(choices=left)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The products that the table does not have."""
        return tuple(choice.product for choice in self.choices if choice.product and not choice.gpu)

    def modal_names(self) -> list[str]:
        """Return the request in Modal's format, best first; empty for no GPU. Raises SpecError if Modal has it not."""
        return [_modal_name(choice) for choice in self.choices]


def _modal_name(choice: GpuChoice) -> str:
    hint = f"GPUs at Modal: {', '.join(MODAL_GPUS)}"
    if choice.mig:
        raise SpecError(f"Modal has no MIG slices such as {choice.name}", hint=hint)
    gpu = GPUS[MODAL_ANY] if choice.name == "any" else choice.gpu
    if gpu is None or gpu.modal is None:
        raise SpecError(f"Modal has no {choice.name}", hint=hint)
    if choice.count > gpu.modal_max:
        raise SpecError(
            f"Modal gives a container at most {gpu.modal_max} {gpu.name}, not {choice.count}",
            hint="request fewer; rendering uses one GPU per unit",
        )
    name = gpu.modal + "!" * choice.exact
    return f"{name}:{choice.count}" if choice.count > 1 else name


def parse_gpu(text: str) -> GpuRequest:
    """Parse the value of ``--gpu``. Raises SpecError; for an unknown GPU, its hint names the most similar one."""
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return GpuRequest()
    if len(words) == 1 and _is_count(words[0]):
        return GpuRequest(choices=(GpuChoice(count=_parse_count(words[0], text)),))
    for word in words:
        if _is_count(word) or word == "none":
            raise SpecError(f"{word!r} cannot be one fallback of {text!r}", hint="list types, as in L4,T4")
    choices = tuple(_parse_word(word, text) for word in words)
    if len(set(choices)) < len(choices):
        raise SpecError(f"{text!r} names a GPU twice", hint="name each fallback once")
    return GpuRequest(choices=choices)


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


def describe_choice(request: GpuRequest) -> tuple[str, ...]:
    """Return what the user should know about what a Job on Kubernetes asks for of a request."""
    taken, left = request.split()
    notes = [
        f"{product} is not in the table of GPUs: it is used as it is, as the value of the nodes' label "
        "nvidia.com/gpu.product"
        for product in taken.unknown
    ]
    if left:
        why = "a Job has one count of one kind of GPU, that of the first"
        notes.insert(0, f"the job asks for {taken}, and not for {left}: {why}")
    return tuple(notes)


def _parse_word(word: str, text: str) -> GpuChoice:
    name, colon, count = word.partition(":")
    choice = _parse_mig(name) if name.lower().startswith("mig-") else _parse_type(name, text)
    return replace(choice, count=_parse_count(count, text) if colon else 1)


def _is_count(word: str) -> bool:
    """Return whether the word is a count, and not the number of a card, such as 5090."""
    return word.isdecimal() and f"RTX-{word}" not in GPUS


def _parse_count(digits: str, text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]?", digits) and int(digits) <= MAX_COUNT:
        return int(digits)
    if _CARD.fullmatch(digits) and digits == text:
        label = f"on Kubernetes, another card has that of its nodes' label: NVIDIA-GeForce-GTX-{digits}, for example"
        hint = f"`renderer gpus` lists names; {label}"
        raise SpecError(f"there is no GPU {digits!r} in the table, and a count is from 1 to {MAX_COUNT}", hint=hint)
    hint = "for no GPU write none; for two of a type A10G:2"
    raise SpecError(f"{digits!r} in the GPU request {text!r} is not a count from 1 to {MAX_COUNT}", hint=hint)


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
    key = re.sub(r"[ _]+", "-", name.removesuffix("!")).upper()
    if key not in GPUS and _LABEL.fullmatch(name):
        known = sorted((gpu for gpu in GPUS.values() if name in gpu.products), key=lambda gpu: len(gpu.products))
        return GpuChoice(gpu=known[0] if known else None, product=name)
    joined, by_joined = key.replace("-", ""), {known.replace("-", ""): known for known in GPUS}
    short = _SHORT.sub("", joined)
    key = next((by_joined[known] for known in (joined, short, f"RTX{short}") if known in by_joined), key)
    if key not in GPUS:
        near = difflib.get_close_matches(short, by_joined, 1, 0.5)
        said = f"{name!r} of {text!r}" if name != text else repr(name)
        hint = f"did you mean {by_joined[near[0]]!r}? " if near else ""
        raise SpecError(f"there is no GPU {said}", hint=f"{hint}`renderer gpus` lists them; 1 takes any, none no GPU")
    if exact and key != "H100":
        raise SpecError(f"{name!r}: only H100! can be pinned", hint=f"write {key}: it is never replaced by another GPU")
    return GpuChoice(gpu=GPUS[key], exact=exact)
