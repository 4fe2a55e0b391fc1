"""Take the picture of docs/analysis.md, from the page of an analysis, with a chromium installed:

    python docs/analysis_screenshots.py ANALYSIS        # the folder that `sonant analyze --output` has written

The picture in the repository is of `sonant analyze sonant/wavlm-tiny --data examples/speech -o analysis`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
COLORS = 96  # of a picture's palette
SIZE = {"width": 860, "height": 900}


def main(analysis: Path) -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto((analysis / "index.html").resolve().as_uri())
        page.screenshot(path=f"{folder}/page.png")
        picture = Image.open(f"{folder}/page.png").convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        picture.save(IMAGES / "analysis_page.png", optimize=True)
        print(f"docs/images/analysis_page.png: {(IMAGES / 'analysis_page.png').stat().st_size // 1024} KiB")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
