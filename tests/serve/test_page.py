"""The pages of `renderer serve` in a real browser: Debian's chromium."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common import WebDriverException
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from support.commands import output, renderer
from support.http_server import Server, serving

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
WAIT_S = 300
SCENE = """from manim import *

class Turn(Scene):
    def construct(self):
        self.play(Rotate(Square()), run_time=2)
"""

pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason="scripts/setup-clients found no chromium for this system")


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.set_window_size(1200, 900)
    driver.set_script_timeout(WAIT_S)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose scenes are small, because the page offers no resolution."""
    settings = {"RENDERER_RESOLUTION": "160x90", "RENDERER_FPS": "10", "RENDERER_SERVE_ALLOW": "poster"}
    with serving(tmp_path_factory.mktemp("user") / "home", **settings) as started:
        yield started


def see(browser: webdriver.Chrome, css: str, text: str = "") -> Any:
    """Return the first element that has the text, as soon as there is one."""

    def find(driver: Any) -> Any:
        script = "return [...document.querySelectorAll(arguments[0])].find(e => e.textContent.includes(arguments[1]))"
        return driver.execute_script(script, css, text)

    return wait(browser).until(find)


def wait(browser: webdriver.Chrome) -> WebDriverWait[Any]:
    """Wait for a condition; while a page is replaced by another one, the browser cannot answer."""
    return WebDriverWait(browser, WAIT_S, ignored_exceptions=[WebDriverException])


def assert_accessible(browser: webdriver.Chrome) -> None:
    """Check the page with axe-core, in light and in dark colours."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found
    assert found.submodule_search_locations
    browser.execute_script((Path(found.submodule_search_locations[0]) / "axe.min.js").read_text("utf-8"))
    for scheme in ("dark", "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        script = (
            "const done = arguments[arguments.length - 1]; axe.run().then(done, (error) => done({error: `${error}`}))"
        )
        result = browser.execute_async_script(script)
        assert "violations" in result, result
        assert result["passes"]
        wrong = {
            item["id"]: [(node["html"], node["failureSummary"]) for node in item["nodes"]]
            for item in result["violations"]
        }
        assert wrong == {}, (browser.current_url, scheme)


def test_scene_is_pasted_watched_and_played(browser: webdriver.Chrome, small: Server) -> None:
    browser.get(small.url)
    see(browser, "p", "There are no jobs")
    assert_accessible(browser)
    browser.execute_script("document.getElementById('code').value = arguments[0]", SCENE)
    see(browser, "#scenes").send_keys("Turn", Keys.TAB)
    press_enter(browser, "button", "Render")
    see(browser, "h1", "turn")
    see(browser, ".state.succeeded", "succeeded")
    see(browser, "#log", "video is encoded")
    see(browser, "#announce[role=status]")
    see(browser, "video")
    play = (
        "const video = document.querySelector('video'); video.muted = true;"
        "if (video.paused) video.play().catch(() => {}); return video.currentTime"
    )
    wait(browser).until(lambda driver: driver.execute_script(play) > 0)
    see(browser, "a", "Turn.mp4")
    poster = see(browser, "video").get_attribute("poster")
    assert small.call("GET", poster).headers["Content-Type"] == "image/png"
    assert browser.find_elements("css selector", "img") == []
    see(browser, "dd", "20, 0 of them from the cache")
    cells = "return [...document.querySelectorAll('#times ~ table td')].map(e => e.textContent)"
    waiting, rendering, drawn, cached = wait(browser).until(lambda driver: driver.execute_script(cells) or None)
    assert (waiting[-1], rendering[-1], drawn, cached) == ("s", "s", "20", "0")
    press_enter(browser, "summary", "Slowest plays of Turn")
    wait(browser).until(lambda driver: see(driver, "details td", "20").is_displayed())
    assert_accessible(browser)
    press_enter(browser, "button", "Contact sheet")
    is_wide = "return document.querySelector(arguments[0]).naturalWidth >= 960"
    sheet = "img[alt='Contact sheet of Turn: 1 play, 2.0 s']"
    wait(browser).until(lambda driver: driver.execute_script(is_wide, sheet))
    see(browser, "p", "Turn: 1 play, 2.0 s")
    assert_accessible(browser)
    requested = re.findall(r'"url":"(https?://[^"]+)', "".join(logged(browser, "performance")))
    assert requested
    assert {address for address in requested if not address.startswith(small.url)} == set()
    assert [entry for entry in logged(browser, "browser") if "SEVERE" in entry] == []


def press_enter(browser: webdriver.Chrome, css: str, text: str) -> None:
    """Press Enter on an element, which the page may replace meanwhile."""

    def send(driver: webdriver.Chrome) -> bool:
        see(driver, css, text).send_keys(Keys.ENTER)
        return True

    wait(browser).until(send)


def press(browser: webdriver.Chrome, css: str, text: str) -> None:
    """Click on an element of a part that the page replaces now and then: find and click it in one step."""
    script = (
        "const e = [...document.querySelectorAll(arguments[0])].find(e => e.textContent.includes(arguments[1]));"
        "if (e) e.click(); return Boolean(e)"
    )
    wait(browser).until(lambda driver: driver.execute_script(script, css, text))


def logged(browser: Any, kind: str) -> list[str]:
    return [f"{entry['level']} {entry['message']}" for entry in browser.get_log(kind)]


def test_error_retry_cancel_and_delete(browser: webdriver.Chrome, small: Server, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from manim import *\nclass Wrong(Scene):\n    def construct(self):\n        1 / 0\n"
    )
    browser.get(small.url)
    see(browser, "button", "Render").click()
    see(browser, "[role=alert]", "there is no code")
    assert_accessible(browser)
    see(browser, "#files").send_keys(str(tmp_path / "wrong.py"))
    see(browser, "button", "Render").click()
    see(browser, "[role=alert]", "Wrong raised ZeroDivisionError")
    see(browser, "[role=alert] pre", "wrong.py:4")
    assert_accessible(browser)
    narrow = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    ends = (
        "return [...document.querySelectorAll('table')]"
        ".map(e => [e, e.closest('.card')].map(e => e.getBoundingClientRect().right))"
    )
    assert all(table < card for table, card in browser.execute_script(ends))
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    first = browser.current_url
    press(browser, "button", "Retry what failed")
    wait(browser).until(lambda driver: driver.current_url != first)
    see(browser, "[role=alert]", "Wrong raised ZeroDivisionError")
    press_enter(browser, "summary", "Delete")  # which deletes nothing yet
    assert_accessible(browser)
    press_enter(browser, "button", "Delete the job and its files")
    see(browser, "h1", "Jobs")

    job = small.submit(
        "import time\nprint('<b>up</b>\\n\\x1b[1;31mred\\x1b[0m, \\u202e\\n    end   ', flush=True)\ntime.sleep(600)",
        name="long",
    ).json()
    see(browser, "#jobs a", "long")  # without a reload
    assert_accessible(browser)
    browser.get(f"{small.url}/jobs/{job['id']}")
    see(browser, "#log", "<b>up</b>")
    shown = browser.execute_script("return document.getElementById('log').textContent")
    assert shown.splitlines()[1:] == ["red, \\u{202e}", "    end"]
    assert_accessible(browser)
    press(browser, "button", "Cancel")
    see(browser, ".state.cancelled", "cancelled")


def test_page_asks_for_a_token(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        token = server.token("--name", "alice")
        browser.get(server.url)
        see(browser, "#token").send_keys("wrong", Keys.ENTER)
        see(browser, "[role=alert]", "the token is not known")
        assert_accessible(browser)
        see(browser, "#token").send_keys(token, Keys.ENTER)
        see(browser, "nav", "alice")
        (cookie,) = browser.get_cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        for origin, is_secure in ((server.url, False), (server.url.replace("http:", "https:"), True)):  # of a proxy
            answer = server.call("POST", "/login", data={"token": token}, headers={"Origin": origin})
            assert (answer.status_code, "; Secure" in answer.headers["Set-Cookie"]) == (303, is_secure)
        see(browser, "button", "Log out").click()
        see(browser, "#token").send_keys(token, Keys.ENTER)
        see(browser, "#jobs", "There are no jobs")
        (kept,) = output(renderer("serve", "token", "list", "--json", cwd=server.home, env=server.env))
        renderer("serve", "token", "create", "--name", "bob", cwd=server.home, env=server.env)
        renderer("serve", "token", "revoke", kept["id"], cwd=server.home, env=server.env)
        see(browser, "#token")  # without a reload
        assert browser.current_url == f"{server.url}/login"
        assert server.call("GET", "/", headers={"Accept": "text/html"}).headers["Location"] == "/login"
