"""No page is wider than its window, nor anything on it wider than what holds it, however long the names are."""

import base64
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

import sonant.models
from sonant.server.accounts.sessions import COOKIE
from sonant.server.settings import AccountRules, ServerSettings
from tests.server.browser.conftest import SPEECH
from tests.server.browser.test_accessible_pages import PAGES
from tests.server.running import RunningServer, running

pytestmark = pytest.mark.slow

WIDTHS = (390, 768, 1280)
LONG, BROKEN = "W" * 180, "broken" + "X" * 170
EMAIL = f"{'a' * 60}@{'.'.join(['b' * 60] * 3)}.example"
OF_LONG_NAMES = (
    f"/?q={LONG}", "/?show=all", f"/models/{LONG}", f"/models/{BROKEN}", f"/playground?model={LONG}",
    f"/compare?models={LONG},{BROKEN},microsoft/wavlm-large", f"/nothing/{LONG}",
)  # fmt: skip

# Elements whose contents leave them, where nothing scrolls or cuts them off, and the page itself. The days of a chart
# may be wider than their bars.
TOO_WIDE = """() => {
  const wide = (e) => e.scrollWidth > e.clientWidth + 1;
  const holds = (e) => e.clientWidth > 1 && getComputedStyle(e).overflowX === "visible" && e.checkVisibility();
  const exempt = "svg, select, .visually-hidden, .usage-days";
  const found = [...document.querySelectorAll("main *")].filter((e) => !e.closest(exempt) && holds(e) && wide(e));
  if (wide(document.documentElement)) found.push(document.documentElement);
  return found.map((e) => `${e.scrollWidth} px in ${e.clientWidth}: ${e.outerHTML.slice(0, 120)}`);
}"""


@pytest.fixture(scope="module")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of models, and an administrator with a key, credit and usage, whose names are as long as they may be."""
    folder = tmp_path_factory.mktemp("long")
    shutil.copytree(Path(sonant.models.__file__).parent / "wavlm_tiny", folder / LONG)
    (folder / BROKEN).mkdir()
    (folder / BROKEN / "config.json").write_text("{}")
    models = (str(folder / LONG), "sonant/wavlm-tiny", str(folder / BROKEN))
    rules = AccountRules(more_credit=f"Write to {EMAIL}, or see https://example.org/{LONG}")
    with running(ServerSettings(data=folder / "data", models=models, accounts=rules)) as up:
        yield up


@pytest.fixture(scope="module")
def context(browser: Browser, long_names: RunningServer) -> Iterator[BrowserContext]:
    """The browser of that administrator."""
    up, accounts = long_names, long_names.services.accounts
    user = up.run(accounts.users.create(EMAIL, is_admin=True, by=EMAIL))
    key = up.run(accounts.keys.create(user.id, "K" * 100, by=EMAIL))
    up.run(accounts.credit.grant(user.id, Decimal("1234567.000000001"), reason="R" * 200, by=EMAIL))
    speech = base64.b64encode((SPEECH / "en-allison-welcome.flac").read_bytes()).decode()
    up.client(key.secret).embeddings.create(model=LONG, input=speech)
    new = up.run(accounts.sessions.open(user.id, address="127.0.0.1"))
    context = browser.new_context(base_url=up.base_url)
    context.add_cookies([{"name": COOKIE, "value": new.token, "url": up.base_url}])
    yield context
    context.close()


@pytest.mark.parametrize("address", [*PAGES, *OF_LONG_NAMES], ids=lambda address: address[:40])
def test_everything_fits(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.goto(address)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(TOO_WIDE) == [], width
    page.close()
