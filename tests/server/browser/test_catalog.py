"""The catalog as a person with a browser meets it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from sonant.models.catalog import CATALOG
from tests.server.running import RunningServer

WANTED = "[id='want:facebook/hubert-large-ll60k']"

pytestmark = pytest.mark.slow


def test_filters_change_the_list_and_the_address(page: Page) -> None:
    page.goto("/")
    heading, family = page.locator("#models-heading"), page.get_by_label("Family")
    family.select_option("hubert")
    page.wait_for_url("**/?family=hubert")
    expect(heading).to_have_text(re.compile(r"^7 models"))
    expect(page.locator("#said")).to_have_text(f"7 of {len(CATALOG)} models")
    page.get_by_label("Search").fill("xlarge")
    page.wait_for_url("**/?q=xlarge&family=hubert")
    expect(heading).to_have_text(re.compile(r"^2 models"))
    page.go_back()
    page.wait_for_url("**/?family=hubert")
    expect(heading).to_have_text(re.compile(r"^7 models"))
    expect(family).to_have_value("hubert")
    page.go_back()
    expect(heading).to_have_text(f"{len(CATALOG)} models")
    expect(family).to_have_value("")


def test_voting_with_the_keyboard(member: Callable[[str], Page]) -> None:
    page = member("voter-in-a-browser@example.org")
    page.goto("/?family=hubert")
    page.locator(WANTED).focus()
    page.keyboard.press("Enter")
    button = page.locator(WANTED)
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_be_focused()
    expect(page.locator("#said")).to_contain_text("Your vote counts")
    page.keyboard.press("Enter")
    expect(page.locator(WANTED)).to_have_attribute("aria-pressed", "false")


def test_comparing(page: Page) -> None:
    page.goto("/?q=large")
    for model in ("microsoft/wavlm-large", "facebook/hubert-large-ll60k"):
        page.get_by_label(f"Compare {model}", exact=True).check()
    page.get_by_role("button", name="Compare chosen").click()
    page.wait_for_url("**/compare?models=microsoft/wavlm-large,facebook/hubert-large-ll60k")
    columns = page.locator("thead th")
    expect(columns).to_have_count(2)
    page.get_by_label("Add another").select_option("sonant/wavlm-tiny")
    page.get_by_role("button", name="Add").click()
    expect(columns).to_have_count(3)
    page.wait_for_url("**,sonant/wavlm-tiny")
    page.get_by_role("link", name="Remove microsoft/wavlm-large").click()
    expect(columns).to_have_count(2)
    page.wait_for_url("**/compare?models=facebook/hubert-large-ll60k,sonant/wavlm-tiny")


def test_code_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/models/sonant/wavlm-tiny")
    page.get_by_text("Python, openai").first.click()
    page.locator(".panel:visible .copy").first.click()
    assert "from openai import OpenAI" in page.evaluate("navigator.clipboard.readText()")


def test_the_theme_stays(page: Page) -> None:
    page.goto("/")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.goto("/compare")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(ground) == light


def test_without_scripts(browser: Browser, server: RunningServer) -> None:
    context = browser.new_context(base_url=server.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Family").select_option("hubert")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#models-heading")).to_have_text(re.compile(r"^7 models"))
    page.get_by_role("link", name="HuBERT Large", exact=True).click()
    page.get_by_text("Python, sonant").first.click()
    expect(page.get_by_text("import sonant").first).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("button", name="Dark theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    context.close()


def test_the_catalog_is_short_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollHeight") < 5000
    page.get_by_role("link", name=f"Show all {len(CATALOG)} models").click()
    expect(page.locator("#models li")).to_have_count(len(CATALOG))


def test_the_first_key_leads_past_the_header(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Try your voice")).to_be_focused()
