"""A real browser: Debian's chromium, with a microphone that plays a file. Without one the tests are skipped."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.server.running import RunningServer

SPEECH = Path(__file__).parents[3] / "examples" / "speech"
OWN_SCHEMES = ("blob:", "data:")


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's microphone hears, over and over."""
    samples, rate = soundfile.read(SPEECH / "en-allison-welcome.flac", dtype="float32")
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, np.repeat(samples, 3), 3 * rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")  # playwright keeps an event loop running, in which no other test could run its own
def browser(microphone: Path) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed")
    switches = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=switches)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, server: RunningServer) -> Iterator[BrowserContext]:
    """Somebody new at the server."""
    context = browser.new_context(base_url=server.base_url)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: RunningServer) -> Iterator[Page]:
    """A page that must not leave the server, nor write an error to the console."""
    server.forget_attempts()
    page = context.new_page()
    wrong = watch(page, server.base_url)
    yield page
    assert not wrong, "\n".join(wrong)


def watch(page: Page, base_url: str) -> list[str]:
    """What a page does that it should not, as it does it."""
    wrong: list[str] = []
    own = (base_url + "/", *OWN_SCHEMES)
    page.on(
        "request", lambda request: wrong.append(f"left: {request.url}") if not request.url.startswith(own) else None
    )
    page.on(
        "console", lambda said: wrong.append(f"console: {said.text}") if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    return wrong


@pytest.fixture
def member(page: Page) -> Callable[[str], Page]:
    """Sign somebody up on the page: `member("ada@example.org")`."""
    return lambda email: sign_up(page, email)


def sign_up(page: Page, email: str) -> Page:
    page.goto("/sign-up")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill("four words in a row")
    page.get_by_role("button", name="Make the account").click()
    page.wait_for_url("**/account")
    return page
