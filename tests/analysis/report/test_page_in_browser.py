"""The page in a real browser: pointed at, pressed, switched and listened to, by pointer and keyboard."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sonant.analysis.report import point_sounds, report_page
from sonant.data import ManifestEntry
from tests.analysis.report.made_up import analysis

pytestmark = pytest.mark.slow

SPEECH = sorted((Path(__file__).parents[3] / "examples/speech").glob("*.flac"))[:5]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'> " + 30 * "long"
TOO_WIDE = """() => [...document.querySelectorAll("header *, main *")].filter((e) => e.checkVisibility()
  && getComputedStyle(e).overflowX === "visible" && !e.closest("svg") && e.clientWidth > 1
  && e.scrollWidth > e.clientWidth + 1)
  .map((e) => `${e.scrollWidth} in ${e.clientWidth}: ${e.outerHTML.slice(0, 120)}`)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two models of different depth, with the sounds of some recordings."""
    made, path = analysis(5, 9, clips=30), tmp_path_factory.mktemp("page") / "index.html"
    entries = [ManifestEntry(SPEECH[number % len(SPEECH)]) for number in range(30)]
    path.write_text(report_page(made, point_sounds(made, entries)), encoding="utf-8")
    return f"file://{path}"


@contextmanager
def opened(browser: Browser, address: str, **how: object) -> Iterator[Page]:
    """Open the page, which must load nothing else and write nothing to the console."""
    page = browser.new_page(**{"viewport": {"width": 1180, "height": 900}, **how})
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("request", lambda request: wrong.append(request.url) if request.url[:5] not in ("file:", "data:") else None)
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    yield page
    assert wrong == []
    page.close()


def test_curves_say_the_layer_under_the_pointer_and_the_cursor(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        figure = page.locator("#probes").locator("..").locator("figure").first
        best = figure.locator(".readout").inner_text()
        assert "(best)" in best
        width = figure.locator("svg").bounding_box()["width"]
        figure.locator("svg").hover(position={"x": width - 15, "y": 50})
        assert figure.locator(".readout span").all_inner_texts()[0].startswith("wavlm-tiny, layer 4")
        assert figure.locator(".readout span").all_inner_texts()[1].startswith("hubert, layer 8")
        page.locator("h2").first.hover()
        assert figure.locator(".readout").inner_text() == best
        figure.locator("svg").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert "hubert, layer 1" in figure.locator(".readout").inner_text()
        matrix = page.locator("#layers").locator("..").locator("figure").first
        matrix.locator("svg").focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
        assert "layers 1 and 1: 1.000" in matrix.locator(".readout").inner_text()


def test_points_are_switched_and_colored(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        first, second = page.locator("figure[data-model]").all()
        assert first.locator(".points path").count() == 30
        assert "variance" in first.locator(".explained").inner_text()
        before = first.locator(".points path").nth(3).get_attribute("style")
        first.locator(".layer").press("End")
        assert first.locator(".layer-name").inner_text() == "4"
        assert first.locator(".points path").nth(3).get_attribute("style") != before
        second.locator(".layer").press("End")
        assert second.locator(".layer-name").inner_text() == "8"
        page.get_by_label("t-SNE").check()
        assert first.locator(".explained").inner_text() == ""
        assert first.locator(".layer-name").inner_text() == "4", "the layer stays"
        page.get_by_label("segments").check()
        assert first.locator(".points path").count() == 60
        page.locator("#field").select_option("phone")
        button = page.locator("#legend button", has_text="IY")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert first.locator(".points path:not(.off)").count() == 8
        button.click()
        assert first.locator(".points path.off").count() == 0
        page.get_by_label("recordings").check()
        page.locator("#field").select_option("pitch")
        assert page.locator("#legend .ramp").count() == 1


def wait_until(page: Page, condition: str) -> None:
    """Wait for a condition on the sound; playwright's own way is forbidden by the policy of the page."""
    for _ in range(600):
        if page.evaluate(f"() => {{ const s = document.getElementById('sound'); return {condition}; }}"):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


def wait_for_sound(page: Page) -> None:
    wait_until(page, "s.currentTime > 0.05 && !s.paused")


def test_sounds_play_by_press_pointer_and_key(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        plane = page.locator("figure[data-model]").first
        points = plane.locator(".points path")
        points.nth(7).click(force=True)  # whatever point lies above it
        assert "wav" in plane.locator(".readout").inner_text()
        wait_for_sound(page)
        page.keyboard.press("Escape")
        assert page.evaluate("document.getElementById('sound').paused")
        page.get_by_label("Play what is under the pointer").check()
        points.nth(12).hover(force=True)
        wait_for_sound(page)
        page.keyboard.press("Escape")
        page.get_by_label("Play what is under the pointer").uncheck()
        page.get_by_label("segments").check()
        plane.locator("svg.plane").focus()
        page.keyboard.press("ArrowRight")
        chosen = plane.locator(".readout .what").inner_text()
        page.keyboard.press("ArrowUp")
        assert plane.locator(".readout .what").inner_text() != chosen
        page.keyboard.press("Enter")
        times = plane.locator(".readout").inner_text()
        begin, end = (0.3, 0.6) if "0.30 to 0.60 s" in times else (0.8, 1.0)
        wait_until(page, f"s.paused && s.currentTime > {begin}")
        assert page.evaluate("document.getElementById('sound').currentTime") < end + 2, "a segment, of six seconds"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_are_only_text_and_nothing_is_too_wide(browser: Browser, tmp_path: Path, theme: str) -> None:
    made = analysis(4, 6, clips=12, text=EVIL)
    (tmp_path / "index.html").write_text(report_page(made, {}), encoding="utf-8")
    for width in (390, 1180):
        how = {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
        with opened(browser, f"file://{tmp_path}/index.html", **how) as page:
            assert page.locator("main img").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(TOO_WIDE) == []
            page.locator("#legend button").first.click()
            plane = page.locator("svg.plane").first
            plane.focus()
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
            assert "not on this page" in page.locator("figure[data-model] .readout").first.inner_text()
