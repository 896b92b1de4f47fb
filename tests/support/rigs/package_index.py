"""A package index with one package, ``probe``, whose ``ORIGIN`` says that it comes from here."""

from __future__ import annotations

import functools
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

INFO = "probe-1.0.dist-info"
WHEEL = {
    "probe.py": "ORIGIN = 'the index'\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": f"probe.py,,\n{INFO}/METADATA,,\n{INFO}/WHEEL,,\n{INFO}/RECORD,,\n",
}


@contextmanager
def serve_index(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve the index at an address of this machine, from a folder that it fills, and yield its port."""
    page = folder / "probe"
    page.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(page / "probe-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in WHEEL.items():
            wheel.writestr(name, text)
    (page / "index.html").write_text('<a href="probe-1.0-py3-none-any.whl">probe-1.0-py3-none-any.whl</a>')
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer((host, port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
