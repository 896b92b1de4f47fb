"""List the GPUs."""

from __future__ import annotations

from backends.gpus.catalog import GPUS, Gpu
from renderer.cli.options import Json
from renderer.cli.output import print_json

_COLUMNS = "{:<18}{:>7}  {:>7}  {:<22}{:<16}{}"


def command(json: Json = False) -> None:
    """List the GPUs that --gpu can name, the video codecs they encode, and which to choose for rendering."""
    if json:
        print_json([_as_json(gpu) for gpu in GPUS.values()])
        return
    print(_COLUMNS.format("--gpu", "memory", "compute", "NVENC", "on Modal", "for rendering"))
    for gpu in GPUS.values():
        encoders = f"{gpu.nvenc} ({', '.join(gpu.codecs)})" if gpu.nvenc else "none"
        modal = f"{gpu.modal}:{gpu.modal_max}" if gpu.modal else "no"
        print(_COLUMNS.format(gpu.name, f"{gpu.memory} GB", gpu.compute, encoders, modal, gpu.advice))
    print()
    print("How to write --gpu: A10G:2 is two GPUs; L4,T4:2 the first of these that is free; 1 any GPU; none no GPU;")
    print("H100! an H100 that Modal never replaces by an H200.")
    print("Manim draws on the CPU; a GPU encodes the video (NVENC), draws --renderer opengl, and runs your own CUDA.")
    print("MIG slices (Kubernetes):")
    for gpu in GPUS.values():
        if gpu.mig and gpu.name != "A100":
            print(f"  {gpu.name:<13} {' '.join(f'mig-{profile}' for profile in gpu.mig)}")


def _as_json(gpu: Gpu) -> dict[str, object]:
    return {
        "name": gpu.name,
        "memory_gb": gpu.memory,
        "compute_capability": gpu.compute,
        "nvenc": gpu.nvenc,
        "codecs": gpu.codecs,
        "modal": gpu.modal,
        "modal_max": gpu.modal_max if gpu.modal else None,
        "labels": gpu.labels,
        "mig": gpu.mig,
        "advice": gpu.advice,
    }
