"""Divides the inputs of a job among ConfigMaps that are small enough for a plain `kubectl apply`.

It keeps a copy of what it applies in an annotation, and all annotations of an object have at most 256 KiB.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Mapping

from backends.errors import SpecError
from backends.image.worker_archive import build_worker_archive, is_own_image, read_start_script
from backends.kubernetes import names
from backends.kubernetes.manifests.templates import Manifest, render_template
from backends.models import JobSpec
from backends.worker_protocol import ARCHIVE

INPUTS_LIMIT = 2**20  # bytes of the bundle and the payload: the cluster's database is not made for more
MAP_BYTES = 185_000  # of the files of one ConfigMap: with base64 and the metadata a little less than 256 KiB
_LARGEST_FILES = 3


def build_inputs(spec: JobSpec, job: str, values: Mapping[str, object]) -> tuple[Manifest, ...]:
    """Return the ConfigMaps ``names.inputs_name(job, …)``: payload, worker and, without a store, the bundle."""
    worker = read_start_script() if is_own_image(spec.image or "") else build_worker_archive(engine=spec.engine)
    files = {ARCHIVE: worker, **({} if spec.store else dict(_split(spec.bundle.data)))}
    boxes: list[dict[str, bytes]] = [{}]
    room = MAP_BYTES - len(json.dumps(spec.payload)) * 3 // 4  # it is not in base64
    for name, data in files.items():
        if len(data) > room:
            boxes.append({})
            room = MAP_BYTES
        boxes[-1][name] = data
        room -= len(data)
    return tuple(
        _build(job, number, {names.TASK_KEY: spec.payload} if not number else {}, box, values)
        for number, box in enumerate(boxes)
    )


def _split(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the file with the bundle, or the files that together have it."""
    if len(bundle) <= MAP_BYTES:
        yield names.BUNDLE_KEY, bundle
        return
    for number, start in enumerate(range(0, len(bundle), MAP_BYTES)):
        yield f"{names.BUNDLE_KEY}.{number:02d}", bundle[start : start + MAP_BYTES]


def _build(
    job: str, number: int, texts: Mapping[str, str], files: Mapping[str, bytes], values: Mapping[str, object]
) -> Manifest:
    encoded = {key: base64.b64encode(data).decode() for key, data in files.items()}
    content = {**values, "name": names.inputs_name(job, number), "texts": texts, "files": encoded}
    (manifest,) = render_template("inputs", content)
    return manifest


def check_size(spec: JobSpec) -> None:
    """Raise SpecError for inputs that are too large for ConfigMaps; the message names the largest files."""
    size = len(spec.payload.encode()) + (0 if spec.store else len(spec.bundle.data))
    if size <= INPUTS_LIMIT:
        return
    room = f"{INPUTS_LIMIT / 1024:.0f} KiB of them travel in ConfigMaps at most"
    if spec.store:
        message = f"the description of the job is {size / 1024:.0f} KiB, and {room}"
        raise SpecError(message, hint="submit fewer scenes or inputs at a time")
    largest = ", ".join(_list_largest(spec.bundle.data))
    raise SpecError(
        f"the inputs are {size / 1024:.0f} KiB, and {room}" + (f"; the largest files: {largest}" if largest else ""),
        hint="add --store s3://BUCKET/PREFIX or --store pvc://CLAIM, choose a smaller folder with --root, "
        "or exclude files in .rendererignore",
    )


def _list_largest(bundle: bytes) -> list[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
            files = sorted(archive.getmembers(), key=lambda member: member.size, reverse=True)[:_LARGEST_FILES]
    except tarfile.TarError:
        return []
    return [f"{file.name} ({file.size / 1024:.0f} KiB)" for file in files if file.size]
