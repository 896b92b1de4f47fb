"""Makes the images of the server's page: ``.venv/bin/python docs/images/make_pages.py``.

A server with a home of its own really runs the jobs. Needs chromium and chromedriver, as the tests of the page do.
"""  # noqa: INP001 - a script

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

HERE = Path(__file__).parent
WIDTH, COLORS = 1100, 128
SETTINGS = {"RENDERER_SERVE_ALLOW": "quality,gpu,poster", "RENDERER_RESOLUTION": "640x360", "RENDERER_FPS": "15"}
INTRO = """from manim import *

class Intro(Scene):
    def construct(self):
        title = Text("How a square turns").to_edge(UP)
        square = Square(color=GREEN, fill_opacity=0.5)
        self.play(Write(title))
        self.play(Create(square))
        self.play(Rotate(square, PI / 5), run_time=2)
"""
OUTRO = """from manim import *

class Outro(Scene):
    def construct(self):
        circle = Circle()
        self.play(Create(circle))
        self.play(circel.animate.shift(LEFT))
"""
IS_COMPLETE = """return [...document.images].every(image => image.complete)
    && [...document.querySelectorAll('video')].every(video => video.readyState > 1 || video.poster)
    && [...document.querySelectorAll('#log')].every(log => log.textContent)"""
WAIT_S = 60
SIMULATION = "import time\nprint('openjd_progress: 40', flush=True)\ntime.sleep(600)\n"


@contextmanager
def serving(home: str) -> Iterator[str]:
    """Yield the address of a server."""
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": home, **SETTINGS}
    command = [Path(sys.executable).parent / "renderer", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout  # noqa: S101 - a pipe
        yield server.stdout.readline().strip()
        server.terminate()


def call(address: str, body: object = None, method: str | None = None) -> Any:
    """Return the answer of the API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the server's own address
        return json.load(answer)


def run(api: str, name: str, code: str, **settings: object) -> str:
    """Submit a job, wait for its end, and return its id."""
    key = str(call(f"{api}/jobs", {"code": code, "name": name, "settings": settings})["id"])
    with urllib.request.urlopen(f"{api}/jobs/{key}/events") as events:  # noqa: S310 - see above
        events.read()
    return key


def save(browser: webdriver.Chrome, address: str, name: str, height: int) -> None:
    """Write the image of a page."""
    browser.get(address)
    screen = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_script("document.querySelectorAll('.card details').forEach(e => { e.open = true })")
    WebDriverWait(browser, WAIT_S).until(lambda _: browser.execute_script(IS_COMPLETE))
    image = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    image.convert("RGB").quantize(COLORS).save(HERE / name, optimize=True)


def main() -> None:
    """Make all of them."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    with tempfile.TemporaryDirectory() as home, serving(home) as server:
        api = f"{server}/api/v1"
        intro, outro = run(api, "intro", INTRO, poster=True), run(api, "outro", OUTRO)
        going = call(f"{api}/jobs", {"code": SIMULATION, "name": "simulation"})["id"]
        with urllib.request.urlopen(f"{api}/jobs/{going}/events") as events:  # noqa: S310 - see above
            while b'"progress": 40' not in events.readline():
                pass
        save(browser, server, "serve-jobs.png", 900)
        save(browser, f"{server}/jobs/{intro}", "serve-done.png", 1080)
        save(browser, f"{server}/jobs/{outro}", "serve-failed.png", 780)
        call(f"{api}/jobs/{going}/cancel", method="POST")
    browser.quit()


if __name__ == "__main__":
    main()
