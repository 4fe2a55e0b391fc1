"""Every page: labels, alternatives, landmarks, headings, contrast of themes."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.server.browser.conftest import SPEECH, watch
from tests.server.running import RunningServer

pytestmark = pytest.mark.slow

PAGES = (
    "/", "/?fmt=table", "/models/sonant/wavlm-tiny", "/models/microsoft/wavlm-large", "/reference", "/playground",
    "/compare?models=sonant/wavlm-tiny,microsoft/wavlm-large", "/sign-in", "/sign-up", "/forgotten-password",
    "/account", "/account/keys", "/account/usage", "/admin", "/admin/users", "/admin/users/1", "/admin/usage",
    "/admin/audit",
)  # fmt: skip

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
BEYOND = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

# One line a fault. Names are computed as far as these pages need it: label, aria-label, text, alt, title.
FAULTS = """() => {
  const faults = [];
  const shown = (e) => e.checkVisibility?.() ?? true;
  const text = (e) => e?.textContent?.trim() ?? "";
  const name = (e) => e.getAttribute("aria-label") || text(document.getElementById(e.getAttribute("aria-labelledby")))
    || [...(e.labels ?? [])].map(text).join(" ") || text(e) || e.querySelector("[alt]")?.alt || e.title;
  const say = (what, e) => faults.push(`${what}: ${e.outerHTML.slice(0, 120)}`);
  for (const e of document.querySelectorAll("input:not([type=hidden]):not([hidden]), select, textarea"))
    if (!e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby") && !e.labels?.length) say("no label", e);
  for (const e of document.querySelectorAll("button, a[href], summary")) if (!name(e)) say("no name", e);
  for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) say("no alternative", e);
  for (const e of document.querySelectorAll("svg, canvas"))
    if (!e.closest("[aria-hidden=true], button, a") && !e.getAttribute("aria-label")) say("no text for", e);
  for (const e of document.querySelectorAll("table")) if (!e.querySelector("th[scope]")) say("no headings", e);
  for (const e of document.querySelectorAll("[role=img]")) if (!name(e)) say("no name", e);
  const landmarks = { "main": 1, "body > header": 1, "body > footer": 1, "h1": 1 };
  for (const [selector, count] of Object.entries(landmarks)) {
    const found = document.querySelectorAll(selector).length;
    if (found !== count) faults.push(`${found} of ${selector}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`id twice: ${id}`);
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"])
    for (const e of document.querySelectorAll(`[${attribute}]`))
      for (const id of e.getAttribute(attribute).split(" "))
        if (!document.getElementById(id)) say(`${attribute} leads nowhere`, e);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!shown(e)) continue;
    const next = Number(e.tagName[1]);
    if (next > level + 1) say(`h${next} after h${level}`, e);
    level = next;
  }
  if (!document.documentElement.lang) faults.push("no language");
  const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
  if (/maximum-scale|user-scalable/.test(viewport)) faults.push("zooming is forbidden");
  return faults;
}"""

# Contrast of every piece of text that is shown against what lies under it, by WCAG 2; large text may have less.
CONTRASTS = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if ((c[3] ?? 1) === 1) return c;
    }
    return [255, 255, 255];
  };
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    if (e.closest("script, svg, .visually-hidden, .skip-link, .busy")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(parse(style.color)), light(ground(e))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < needed) faults.add(`${contrast.toFixed(2)}: ${e.outerHTML.slice(0, 100)}`);
  }
  return [...faults];
}"""


@pytest.fixture(scope="module")
def administrators_browser(browser: Browser, server: RunningServer) -> Iterator[BrowserContext]:
    """In which every page can be opened."""
    # Colors that fade into each other have no contrast to measure: no motion.
    context = browser.new_context(base_url=server.base_url, reduced_motion="reduce")
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_text("With an admin key").click()
    page.get_by_label("Key", exact=True).fill(server.admin_key)
    page.get_by_role("button", name="Sign in with the key").click()
    page.wait_for_url("**/account")
    yield context
    context.close()


@pytest.fixture
def administrator(administrators_browser: BrowserContext) -> Iterator[Page]:
    page = administrators_browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("address", PAGES)
def test_page_is_accessible(administrator: Page, server: RunningServer, address: str) -> None:
    wrong = watch(administrator, server.base_url)
    for scheme in SCHEMES:
        administrator.emulate_media(color_scheme=scheme)
        administrator.set_viewport_size({"width": 1280, "height": 900})
        administrator.goto(address)
        assert administrator.evaluate(FAULTS) == []
        assert administrator.evaluate(CONTRASTS) == []
    assert wrong == []


def test_error_page_is_accessible(administrator: Page) -> None:
    administrator.goto("/no-such-page")
    assert administrator.evaluate(FAULTS) == []


def test_full_playground_is_accessible(administrator: Page) -> None:
    page = administrator
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/playground")
    page.wait_for_selector("html[data-playground=ready]")
    for letter, name in (("A", "en-allison-welcome"), ("B", "fr-june-queue")):
        page.locator(f"[data-slot={letter}] [data-part=file]").set_input_files(SPEECH / f"{name}.flac")
    page.get_by_role("button", name="Embed A and B").click()
    page.wait_for_selector(".chart", timeout=60_000)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(FAULTS) == []
        assert page.evaluate(CONTRASTS) == []
    assert page.evaluate(BEYOND) <= 0
