"""Reads the NVIDIA driver and its GPUs from NVML, the library that nvidia-smi uses. Needs no Python package.

Run as a program, it prints the version of the driver.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TEXT_BYTES = 96


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@dataclass(frozen=True, kw_only=True)
class Device:
    """One GPU. ``memory`` and ``free`` are in MiB, ``temperature`` in °C; None where the GPU does not report it."""

    name: str
    memory: int | None
    free: int | None
    temperature: int | None
    compute: str | None
    mig: bool | None


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The version of the driver, the newest CUDA version that it supports, and its GPUs."""

    version: str
    cuda: tuple[int, int]
    devices: tuple[Device, ...]


class NvmlError(Exception):
    """NVML is not installed, or does not start; the text says which."""


def read_driver() -> Driver:
    """Return the driver and all its GPUs. Raises NvmlError."""
    with _started() as nvml:
        cuda = ctypes.c_int()
        nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda))
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        return Driver(
            version=_text(nvml.nvmlSystemGetDriverVersion),
            cuda=(cuda.value // 1000, cuda.value % 1000 // 10),
            devices=tuple(_device(nvml, index) for index in range(count.value)),
        )


@contextmanager
def _started() -> Iterator[ctypes.CDLL]:
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as error:
        raise NvmlError("libnvidia-ml.so.1 is not installed") from error
    if code := nvml.nvmlInit_v2():
        nvml.nvmlErrorString.restype = ctypes.c_char_p
        raise NvmlError(f"NVML does not start: {nvml.nvmlErrorString(code).decode()}")
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _text(function: ctypes._NamedFuncPointer, *arguments: object) -> str:
    buffer = ctypes.create_string_buffer(_TEXT_BYTES)
    return buffer.value.decode() if function(*arguments, buffer, ctypes.c_uint(_TEXT_BYTES)) == 0 else "unknown"


def _device(nvml: ctypes.CDLL, index: int) -> Device:
    handle = ctypes.c_void_p()
    nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
    memory, celsius = _Memory(), ctypes.c_uint()
    major, minor, mig, pending = ctypes.c_int(), ctypes.c_int(), ctypes.c_uint(), ctypes.c_uint()
    has_memory = nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0
    has_celsius = nvml.nvmlDeviceGetTemperature(handle, ctypes.c_uint(0), ctypes.byref(celsius)) == 0
    has_compute = nvml.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == 0
    has_mig = nvml.nvmlDeviceGetMigMode(handle, ctypes.byref(mig), ctypes.byref(pending)) == 0
    return Device(
        name=_text(nvml.nvmlDeviceGetName, handle),
        memory=memory.total >> 20 if has_memory else None,
        free=memory.free >> 20 if has_memory else None,
        temperature=celsius.value if has_celsius else None,
        compute=f"{major.value}.{minor.value}" if has_compute else None,
        mig=bool(mig.value) if has_mig else None,
    )


if __name__ == "__main__":
    try:
        sys.stdout.write(read_driver().version)
    except NvmlError as error:
        sys.exit(str(error))
