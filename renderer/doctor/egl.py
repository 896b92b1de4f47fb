"""Tests OpenGL without a screen, in a separate process. Prints GL's vendor, renderer and version, one per line.

It uses the first EGL device, as Manim's OpenGL renderer does.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_PLATFORM_DEVICE = 0x313F
_OPENGL_API = 0x30A2
_CONFIG = (0x3033, 0x0001, 0x3040, 0x0008, 0x3038)  # SURFACE_TYPE pbuffer, RENDERABLE_TYPE OpenGL, NONE
_PBUFFER = (0x3057, 16, 0x3056, 16, 0x3038)  # WIDTH, HEIGHT, NONE
_COLOR_BUFFER, _RGBA, _UNSIGNED_BYTE = 0x4000, 0x1908, 0x1401
_STRINGS = {"vendor": 0x1F00, "renderer": 0x1F01, "version": 0x1F02}
_MAX_DEVICES = 32


class EglError(Exception):
    """A step of the OpenGL test failed; the text says which."""


def draw_frame() -> dict[str, str]:
    """Clear a small buffer to a colour and read it back. Return GL's vendor, renderer and version. Raises EglError."""
    egl = _load_library()
    display = _open_first_device(egl)
    if not egl.eglInitialize(display, None, None):
        raise EglError("eglInitialize failed")
    egl.eglBindAPI(_OPENGL_API)
    config, count = ctypes.c_void_p(), ctypes.c_int()
    egl.eglChooseConfig(display, (ctypes.c_int * 5)(*_CONFIG), ctypes.byref(config), 1, ctypes.byref(count))
    if not count.value:
        raise EglError("no EGL configuration supports OpenGL")
    surface = egl.eglCreatePbufferSurface(display, config, (ctypes.c_int * 5)(*_PBUFFER))
    context = egl.eglCreateContext(display, config, None, None)
    if not egl.eglMakeCurrent(display, surface, surface, context):
        raise EglError("eglMakeCurrent failed")
    return _clear_and_read(egl)


def _load_library() -> ctypes.CDLL:
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError as error:
        raise EglError("libEGL.so.1 is not installed") from error
    for name in ("eglGetProcAddress", "eglGetDisplay", "eglCreatePbufferSurface", "eglCreateContext"):
        getattr(egl, name).restype = ctypes.c_void_p
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    egl.eglChooseConfig.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    egl.eglCreatePbufferSurface.argtypes = [ctypes.c_void_p] * 3
    egl.eglCreateContext.argtypes = [ctypes.c_void_p] * 4
    egl.eglMakeCurrent.argtypes = [ctypes.c_void_p] * 4
    return egl


def _find_function(egl: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    address = egl.eglGetProcAddress(name.encode())
    if not address:
        raise EglError(f"the OpenGL library has no {name}")
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def _open_first_device(egl: ctypes.CDLL) -> int:
    integer, pointer = ctypes.c_int, ctypes.c_void_p
    query = _find_function(egl, "eglQueryDevicesEXT", integer, integer, pointer, pointer)
    get = _find_function(egl, "eglGetPlatformDisplayEXT", pointer, integer, pointer, pointer)
    devices, count = (pointer * _MAX_DEVICES)(), integer()
    query(_MAX_DEVICES, devices, ctypes.byref(count))
    if not count.value:
        raise EglError("EGL found no device")
    display: int = get(_PLATFORM_DEVICE, devices[0], None)
    return display


def _clear_and_read(egl: ctypes.CDLL) -> dict[str, str]:
    number = ctypes.c_float
    clear_color = _find_function(egl, "glClearColor", None, number, number, number, number)
    clear = _find_function(egl, "glClear", None, ctypes.c_uint)
    whole = ctypes.c_int
    read = _find_function(
        egl, "glReadPixels", None, whole, whole, whole, whole, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p
    )
    text = _find_function(egl, "glGetString", ctypes.c_char_p, ctypes.c_uint)
    clear_color(0.0, 1.0, 0.0, 1.0)
    clear(_COLOR_BUFFER)
    pixel = (ctypes.c_ubyte * 4)()
    read(0, 0, 1, 1, _RGBA, _UNSIGNED_BYTE, pixel)
    if bytes(pixel)[:3] != b"\x00\xff\x00":
        raise EglError(f"a green pixel was read back as {bytes(pixel).hex()}")
    return {name: (text(key) or b"unknown").decode() for name, key in _STRINGS.items()}


if __name__ == "__main__":
    try:
        sys.stdout.write("".join(f"{value}\n" for value in draw_frame().values()))
    except EglError as error:
        sys.exit(str(error))
