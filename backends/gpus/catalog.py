"""The table of GPUs: what each can do, and its names at Modal and on Kubernetes.

Sources:
- memory, compute capability: https://developer.nvidia.com/cuda-gpus and NVIDIA's data sheets (GB as sold)
- encoders and codecs: https://developer.nvidia.com/video-encode-decode-support-matrix
- Modal's names and limits: https://modal.com/docs/guide/gpu (none is stated for RTX-PRO-6000; the usual 8 is assumed)
- label values: GPU feature discovery sets nvidia.com/gpu.product to NVML's device name with dashes for spaces, and
  appends -SHARED where the GPU is time-sliced: https://github.com/NVIDIA/k8s-device-plugin
- MIG profiles: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html, and as NVIDIA's
  MIG manager makes them: https://github.com/NVIDIA/mig-parted, deployments/systemd/config-default.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_TURING = ("h264", "hevc")
_ADA = ("h264", "hevc", "av1")
_A100_40 = ("1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
_80GB = ("1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
_94GB = ("1g.12gb", "1g.12gb+me", "1g.24gb", "2g.24gb", "3g.47gb", "4g.47gb", "7g.94gb")  # H100 NVL


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One type of GPU.

    ``memory`` is in GB, ``compute`` is the compute capability, ``nvenc`` the number of NVENC engines. ``modal`` is
    Modal's name, None if Modal does not have it, ``modal_max`` the largest count there. ``products`` are the label
    values on Kubernetes.
    """

    name: str
    memory: int
    compute: str
    nvenc: int = 0
    codecs: tuple[str, ...] = ()
    modal: str | None = None
    modal_max: int = 8
    products: tuple[str, ...]
    mig: tuple[str, ...] = ()
    advice: str

    @property
    def labels(self) -> tuple[str, ...]:
        """All values that nvidia.com/gpu.product may have on a node with this GPU, including those of time-slicing."""
        return self.products + tuple(f"{product}-SHARED" for product in self.products)


def _make_series(
    rows: Mapping[str, tuple[int, int]], *, compute: str, codecs: tuple[str, ...], product: str, advice: str
) -> tuple[Gpu, ...]:
    """Return GPUs of one generation: memory and number of encoders by name. ``product`` begins the label's value."""
    return tuple(
        Gpu(
            name=name,
            memory=memory,
            compute=compute,
            nvenc=nvenc,
            codecs=codecs,
            products=(f"{product}{name.removeprefix('QUADRO-').replace('-TI', '-Ti')}",),
            advice=advice,
        )
        for name, (memory, nvenc) in rows.items()
    )


_A100_40GB_PRODUCTS = ("NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-PCIE-40GB")
_A100_80GB_PRODUCTS = ("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-80GB-PCIe")
_GEFORCE = "GeForce; NVIDIA limits how many streams it encodes at the same time"
_NO_NVENC = "no NVENC: encodes on the CPU; for compute, not for video"
# fmt: off
_TABLE = (
    Gpu(name="T4", memory=16, compute="7.5", nvenc=1, codecs=_TURING, modal="T4", products=("Tesla-T4",),
        advice="the cheapest that encodes; enough for 1080p"),
    Gpu(name="L4", memory=24, compute="8.9", nvenc=2, codecs=_ADA, modal="L4", products=("NVIDIA-L4",),
        advice="the first choice for video: two encoders and AV1 at low power"),
    Gpu(name="A10", memory=24, compute="8.6", nvenc=1, codecs=_TURING, modal="A10", modal_max=4,
        products=("NVIDIA-A10", "NVIDIA-A10G"), advice="good for scenes that also compute on the GPU"),
    Gpu(name="A10G", memory=24, compute="8.6", nvenc=1, codecs=_TURING, modal="A10G", modal_max=4,
        products=("NVIDIA-A10G",), advice="the A10 of AWS g5 and of Modal"),
    Gpu(name="A100", memory=40, compute="8.0", modal="A100", mig=(*_A100_40, *_80GB),
        products=_A100_40GB_PRODUCTS + _A100_80GB_PRODUCTS, advice=_NO_NVENC),
    Gpu(name="A100-40GB", memory=40, compute="8.0", modal="A100-40GB", mig=_A100_40,
        products=_A100_40GB_PRODUCTS, advice=_NO_NVENC),
    Gpu(name="A100-80GB", memory=80, compute="8.0", modal="A100-80GB", mig=_80GB,
        products=_A100_80GB_PRODUCTS, advice=_NO_NVENC),
    Gpu(name="L40S", memory=48, compute="8.9", nvenc=3, codecs=_ADA, modal="L40S", products=("NVIDIA-L40S",),
        advice="the fastest usual choice: three encoders, AV1"),
    Gpu(name="H100", memory=80, compute="9.0", modal="H100", mig=(*_80GB, *_94GB),
        products=("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"), advice=_NO_NVENC),
    Gpu(name="H200", memory=141, compute="9.0", modal="H200", products=("NVIDIA-H200", "NVIDIA-H200-NVL"),
        mig=("1g.18gb", "1g.18gb+me", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"), advice=_NO_NVENC),
    Gpu(name="B200", memory=180, compute="10.0", modal="B200", products=("NVIDIA-B200",),
        mig=("1g.23gb", "1g.23gb+me", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"), advice=_NO_NVENC),
    Gpu(name="RTX-PRO-6000", memory=96, compute="12.0", nvenc=4, codecs=_ADA, modal="RTX-PRO-6000",
        products=("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "NVIDIA-RTX-PRO-6000-Blackwell-Workstation-Edition",
                  "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition"),
        mig=("1g.24gb", "1g.24gb+me", "1g.24gb+gfx", "1g.24gb+me.all", "1g.24gb-me", "2g.48gb", "2g.48gb+gfx",
             "2g.48gb+me.all", "2g.48gb-me", "4g.96gb", "4g.96gb+gfx"),
        advice="four encoders, AV1; its MIG slices encode too"),
    Gpu(name="L40", memory=48, compute="8.9", nvenc=3, codecs=_ADA, products=("NVIDIA-L40",),
        advice="as the L40S, with slower tensor cores"),
    Gpu(name="A2", memory=16, compute="8.6", nvenc=1, codecs=_TURING, products=("NVIDIA-A2",),
        advice="low power; encodes"),
    Gpu(name="A16", memory=16, compute="8.6", nvenc=1, codecs=_TURING, products=("NVIDIA-A16",),
        advice="four on one board, each with an encoder"),
    Gpu(name="A30", memory=24, compute="8.0", products=("NVIDIA-A30",), advice=_NO_NVENC,
        mig=("1g.6gb", "1g.6gb+me", "2g.12gb", "2g.12gb+me", "4g.24gb")),
    Gpu(name="A40", memory=48, compute="8.6", nvenc=1, codecs=_TURING, products=("NVIDIA-A40",),
        advice="good for scenes that also compute on the GPU"),
    Gpu(name="V100", memory=16, compute="7.0", nvenc=3, codecs=_TURING, advice="old, but encodes",
        products=("Tesla-V100-SXM2-16GB", "Tesla-V100-SXM2-32GB", "Tesla-V100-SXM3-32GB", "Tesla-V100-PCIE-16GB",
                  "Tesla-V100-PCIE-32GB", "Tesla-V100S-PCIE-32GB")),
    Gpu(name="P100", memory=16, compute="6.0", nvenc=3, codecs=_TURING, advice="old, but encodes",
        products=("Tesla-P100-SXM2-16GB", "Tesla-P100-PCIE-16GB", "Tesla-P100-PCIE-12GB")),
    *_make_series({"RTX-A4000": (16, 1), "RTX-A4500": (20, 1), "RTX-A5000": (24, 1), "RTX-A5500": (24, 1),
                   "RTX-A6000": (48, 1)},
                  compute="8.6", codecs=_TURING, product="NVIDIA-", advice="workstation; encodes"),
    Gpu(name="RTX-6000-ADA", memory=48, compute="8.9", nvenc=3, codecs=_ADA, advice="workstation; three encoders, AV1",
        products=("NVIDIA-RTX-6000-Ada-Generation",)),
    *_make_series({"QUADRO-RTX-4000": (8, 1), "QUADRO-RTX-5000": (16, 1), "QUADRO-RTX-6000": (24, 1),
                   "QUADRO-RTX-8000": (48, 1)},
                  compute="7.5", codecs=_TURING, product="Quadro-", advice="workstation; encodes"),
    *_make_series({"RTX-2080": (8, 1), "RTX-2080-SUPER": (8, 1), "RTX-2080-TI": (11, 1)},
                  compute="7.5", codecs=_TURING, product="NVIDIA-GeForce-", advice=_GEFORCE),
    *_make_series({"RTX-3060": (12, 1), "RTX-3060-TI": (8, 1), "RTX-3070": (8, 1), "RTX-3070-TI": (8, 1),
                   "RTX-3080": (10, 1), "RTX-3080-TI": (12, 1), "RTX-3090": (24, 1), "RTX-3090-TI": (24, 1)},
                  compute="8.6", codecs=_TURING, product="NVIDIA-GeForce-", advice=_GEFORCE),
    *_make_series({"RTX-4060": (8, 1), "RTX-4060-TI": (8, 1), "RTX-4070": (12, 1), "RTX-4070-SUPER": (12, 1),
                   "RTX-4070-TI": (12, 2), "RTX-4070-TI-SUPER": (16, 2), "RTX-4080": (16, 2), "RTX-4080-SUPER": (16, 2),
                   "RTX-4090": (24, 2)},
                  compute="8.9", codecs=_ADA, product="NVIDIA-GeForce-", advice=_GEFORCE),
    *_make_series({"RTX-5060": (8, 1), "RTX-5060-TI": (8, 1), "RTX-5070": (12, 1), "RTX-5070-TI": (16, 2),
                   "RTX-5080": (16, 2), "RTX-5090": (32, 3)},
                  compute="12.0", codecs=_ADA, product="NVIDIA-GeForce-", advice=_GEFORCE),
)
# fmt: on
GPUS: Mapping[str, Gpu] = {gpu.name: gpu for gpu in _TABLE}
MODAL_GPUS = tuple(gpu.name for gpu in _TABLE if gpu.modal)
MIG_PROFILES: Mapping[str, tuple[Gpu, ...]] = {
    profile: tuple(gpu for gpu in _TABLE if profile in gpu.mig) for gpu in _TABLE for profile in gpu.mig
}
