"""Take the pictures of docs/serving.md: `python docs/serving_screenshots.py`, from the root, with a chromium installed.

The recordings that they show are those of the playground's own examples.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLORS = 96  # of a picture's palette: a quarter of the size, and no difference to the eye
SIZE = {"width": 1180, "height": 760}


def playground(page: Page) -> None:
    page.goto("/playground")
    page.wait_for_selector("html[data-playground=ready]")
    for letter, example in (("A", 1), ("B", 2)):
        page.locator(f"[data-slot={letter}] [data-part=example]").select_option(index=example)
        page.wait_for_selector(f"[data-slot={letter}] [data-part=pictures]:not([hidden])")
    page.get_by_role("button", name="Embed A and B").click()
    page.get_by_role("button", name="Embedded").wait_for()
    page.get_by_label("A with B").check()
    page.get_by_label("Layer", exact=False).first.press("Home")
    page.get_by_role("heading", name="Recordings").evaluate("(heading) => heading.scrollIntoView()")


def matrix(page: Page) -> None:
    """The lower half of the playground."""
    playground(page)
    for _ in range(6):
        page.get_by_label("Layer", exact=False).first.press("ArrowRight")
    page.locator("[data-section=embed]").evaluate("(section) => section.scrollIntoView()")


def catalog(page: Page) -> None:
    page.goto("/")


def layers(page: Page) -> None:
    """What was measured of the layers of a model."""
    page.set_viewport_size({"width": 800, "height": 900})  # one column
    page.goto("/models/sonant/wavlm-tiny")
    page.locator("section:has(> #measured)").evaluate("(section) => section.scrollIntoView()")


PICTURES = {
    "catalog": (catalog, "light"),
    "playground": (playground, "light"),
    "playground_layers": (matrix, "dark"),
    "layers": (layers, "light"),
}


def main(wanted: Sequence[str] = ()) -> None:
    """Take the pictures; `wanted`: some of them alone."""
    sys.path.insert(0, str(ROOT))
    from sonant.server.settings import ServerSettings
    from tests.server.running import running

    folder = Path(tempfile.mkdtemp())
    settings = ServerSettings(data=folder / "data", anonymous=True)
    with running(settings) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (show, theme) in PICTURES.items():
            if wanted and name not in wanted:
                continue
            page = browser.new_page(base_url=server.base_url, viewport=SIZE, color_scheme=theme)
            show(page)
            page.evaluate("() => document.activeElement?.blur()")
            page.screenshot(path=folder / f"{name}.png")
            page.close()
            picture = Image.open(folder / f"{name}.png").convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
            picture.save(IMAGES / f"serving_{name}.png", optimize=True)
            print(f"docs/images/serving_{name}.png: {(IMAGES / f'serving_{name}.png').stat().st_size // 1024} KiB")
        browser.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
