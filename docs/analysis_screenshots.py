"""Take the pictures of docs/analysis.md, from the page of an analysis, with a chromium installed:

    python docs/analysis_screenshots.py ANALYSIS        # the folder that `sonant analyze --output` has written

The pictures in the repository are of sonant/wavlm-tiny on words of Speech Commands.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
COLORS = 96  # of a picture's palette
SIZE = {"width": 1180, "height": 760}


def curves(page: Page) -> None:
    page.locator("#probes").evaluate("(heading) => heading.scrollIntoView()")


def plane(page: Page) -> None:
    page.locator("#plane").evaluate("(heading) => heading.scrollIntoView()")
    if page.get_by_label("t-SNE").count():
        page.get_by_label("t-SNE").check()
    page.wait_for_timeout(1000)  # the points have arrived


PICTURES = {"curves": (curves, "light"), "plane": (plane, "dark")}


def main(analysis: Path) -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (show, theme) in PICTURES.items():
            page = browser.new_page(viewport=SIZE, color_scheme=theme)
            page.goto((analysis / "index.html").resolve().as_uri())
            show(page)
            page.screenshot(path=f"{folder}/{name}.png")
            page.close()
            picture = Image.open(f"{folder}/{name}.png").convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
            picture.save(IMAGES / f"analysis_{name}.png", optimize=True)
            print(f"docs/images/analysis_{name}.png: {(IMAGES / f'analysis_{name}.png').stat().st_size // 1024} KiB")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
