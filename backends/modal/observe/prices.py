"""Modal's prices, to estimate costs: US dollars per second, as of 1 July 2026 on https://modal.com/pricing.

The estimate does not include surcharges for regions, idle time of containers, or the monthly free credits.
"""

from __future__ import annotations

from collections.abc import Mapping

AS_OF = "2026-07-01"
SOURCE = "modal.com/pricing"
GPU_SECOND: Mapping[str, float] = {
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "A10G": 0.000306,
    "L40S": 0.000542,
    "A100": 0.000583,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "RTX-PRO-6000": 0.000842,
    "H100": 0.001097,
    "H200": 0.001261,
    "B200": 0.001736,
}
CORE_SECOND = 0.0000131
GIB_SECOND = 0.00000222


def dollars_per_second(gpus: tuple[str, ...], cpu: float, memory_mib: int) -> float:
    """Return the price of one second. If several GPUs are acceptable, it is that of the most expensive one."""
    rates = [0.0]
    for gpu in gpus:
        name, _, count = gpu.partition(":")
        rates.append(GPU_SECOND[name.removesuffix("!")] * int(count or 1))
    return max(rates) + cpu * CORE_SECOND + memory_mib / 1024 * GIB_SECOND
