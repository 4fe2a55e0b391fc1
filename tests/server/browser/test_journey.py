"""From nobody to a program that uses a key, with and without JavaScript, with and without a mouse."""

import re
from collections.abc import Callable

import openai
import pytest
from openai import OpenAI
from playwright.sync_api import Browser, Page, expect

from tests.server.browser.conftest import SPEECH
from tests.server.running import RunningServer

pytestmark = pytest.mark.slow

MODEL = "sonant/wavlm-tiny"


def embed_with(key: str, server: RunningServer) -> int:
    """Numbers in the vector that the stock client gets with a key."""
    client = OpenAI(base_url=f"{server.base_url}/v1", api_key=key, max_retries=0)
    (vector,) = client.post(
        "/embeddings",
        files=[("file", ("a.flac", (SPEECH / "en-allison-welcome.flac").read_bytes()))],
        body={"model": MODEL, "encoding_format": "float"},
        cast_to=openai.types.CreateEmbeddingResponse,
        options={"headers": {"Content-Type": "multipart/form-data"}},
    ).data
    return len(vector.embedding)


def test_without_javascript(browser: Browser, server: RunningServer) -> None:
    context = browser.new_context(base_url=server.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/account/keys")  # who is not signed in is led to the form, and back
    page.get_by_role("link", name="Make one").click()
    page.get_by_label("E-mail address").fill("plain@example.org")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("The password has 5 characters")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_have_value("plain@example.org")
    page.get_by_label("Password").fill("four words in a row")
    page.get_by_role("button", name="Make the account").click()

    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("listing models").uncheck()
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#secret").inner_text()
    assert embed_with(key, server) == 256
    page.goto("/account/keys")
    assert key not in page.content()  # shown once
    page.get_by_text("Revoke laptop").click()
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_role("row", name="laptop")).to_contain_text("Revoked")
    with pytest.raises(openai.AuthenticationError):
        embed_with(key, server)

    page.goto("/account/usage")
    expect(page.get_by_role("row", name=re.compile("wavlm-tiny"))).to_contain_text("303")  # tokens
    page.goto("/account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto("/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_password_and_leaving(member: Callable[[str], Page], server: RunningServer) -> None:
    page = member("leaver@example.org")
    page.get_by_label("Password until now").fill("four words in a row")
    page.get_by_label("New password").fill("five words in a row")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("The password was changed")).to_be_visible()
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_label("E-mail address").fill("leaver@example.org")
    page.get_by_label("Password").fill("five words in a row")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_text("Delete the account", exact=True).click()
    page.get_by_label(re.compile("to confirm")).fill("leaver@example.org")
    page.get_by_role("button", name="Delete the account for good").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert server.run(server.services.accounts.users.find("leaver@example.org")) is None


def test_voting_and_comparing(member: Callable[[str], Page]) -> None:
    page = member("voter@example.org")
    page.goto("/models/microsoft/wavlm-large")
    want = page.get_by_role("button", name=re.compile("I want this"))
    want.click()
    expect(want).to_have_attribute("aria-pressed", "true")
    page.goto(f"/compare?models={MODEL},microsoft/wavlm-large")
    expect(page.get_by_role("columnheader", name=re.compile("wavlm-large"))).to_be_visible()


def test_administrator(page: Page, server: RunningServer) -> None:
    user = server.run(server.services.accounts.users.create("poor@example.org", "four words in a row", by="tests"))
    page.goto("/sign-in?next=/admin")
    page.get_by_text("With an admin key").click()
    page.get_by_label("Key", exact=True).fill(server.admin_key)
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page.get_by_role("row", name=re.compile("wavlm-tiny"))).to_contain_text("Live")

    page.get_by_role("link", name="Users").click()
    page.get_by_label("Address holds").fill("poor@")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="poor@example.org").click()
    page.get_by_label("Amount").fill("2.5")
    page.get_by_label("What for").fill("a present")
    page.get_by_role("button", name="Grant").click()
    expect(page.get_by_role("row", name=re.compile("a present")).first).to_contain_text("2.50 USD")
    page.get_by_text("Disable", exact=True).click()
    page.get_by_role("button", name="Disable the account").click()
    expect(page.get_by_role("button", name="Enable again")).to_be_visible()
    assert server.run(server.services.accounts.users.get(user.id)).is_disabled

    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("row", name=re.compile("credit granted.*poor@example.org"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("admin@localhost.*user disabled"))).to_be_visible()


def test_keyboard_alone(page: Page) -> None:
    """Sign up, take two examples, embed, change the layer: no mouse."""

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    def tab_to(name: str, *, limit: int = 60) -> None:
        for _ in range(limit):
            press("Tab")
            here = page.evaluate(
                "() => { const e = document.activeElement; const label = e.labels?.[0]?.innerText ?? '';"
                " return `${e.getAttribute('aria-label') ?? ''}|${label}|${e.innerText ?? ''}`; }"
            )
            if name in here:
                assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") != "none" or (
                    page.evaluate("() => document.activeElement.matches('[type=file]')")
                ), f"{name} shows no focus"
                return
        pytest.fail(f"{name} is not reached with the tab key")

    page.goto("/sign-up?next=/playground")
    press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Skip to the content"
    press("Enter")
    tab_to("E-mail address")
    page.keyboard.type("keys@example.org")
    tab_to("Password")
    page.keyboard.type("four words in a row")
    press("Enter")
    page.wait_for_selector("html[data-playground=ready]")
    for letter, number in (("A", 1), ("B", 2)):
        tab_to(f"Example for recording {letter}")
        press(*["ArrowDown"] * number)
        expect(page.locator(f"[data-slot={letter}] [data-part=pictures]")).to_be_visible()
    tab_to("Embed A and B")
    press("Enter")
    expect(page.get_by_role("button", name="Embedded")).to_be_focused(timeout=60_000)
    tab_to("A with A")
    press("ArrowRight", "ArrowRight")
    expect(page.get_by_role("img", name=re.compile("frames of B at layer 6"))).to_be_visible()
    tab_to("Layer")
    press("ArrowRight")
    expect(page.get_by_role("img", name=re.compile("frames of B at layer 7"))).to_be_visible()
