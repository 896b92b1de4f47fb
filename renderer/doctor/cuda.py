"""Tests CUDA in a separate process: writes GPU memory and reads it back. Prints the name of the GPU."""

from __future__ import annotations

import ctypes
import sys

BYTES = 1 << 20
PATTERN = 0x5A


class CudaError(Exception):
    """A CUDA call failed; the text says which."""


def use_cuda() -> str:
    """Write memory of the first GPU, read it back, and return the GPU's name. Raises CudaError."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise CudaError("libcuda.so.1 is not installed") from error

    def call(name: str, *arguments: object) -> None:
        if code := getattr(cuda, name)(*arguments):
            text = ctypes.c_char_p()
            cuda.cuGetErrorName(code, ctypes.byref(text))
            raise CudaError(f"{name} failed: {(text.value or b'unknown').decode()}")

    device, context, address = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    name, back = ctypes.create_string_buffer(96), ctypes.create_string_buffer(BYTES)
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDeviceGetName", name, 96, device)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(BYTES))
    call("cuMemsetD8_v2", address, ctypes.c_ubyte(PATTERN), ctypes.c_size_t(BYTES))
    call("cuMemcpyDtoH_v2", back, address, ctypes.c_size_t(BYTES))
    call("cuMemFree_v2", address)
    if back.raw != bytes([PATTERN]) * BYTES:
        raise CudaError("the GPU memory that was read differs from what was written")
    return name.value.decode()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{use_cuda()}\n")
    except CudaError as error:
        sys.exit(str(error))
