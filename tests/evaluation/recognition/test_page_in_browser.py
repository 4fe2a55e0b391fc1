"""The page in a real browser: no script runs, nothing is loaded, a phone scrolls tables only, and clips play."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from sonant.data import ManifestEntry
from sonant.evaluation.recognition import Utterance, evaluate_recognition, recognition_page
from sonant.pages.clips import audio_clips

SPEECH = Path(__file__).parents[3] / "examples/speech/en-allison-welcome.flac"
EVIL = "<script>alert(1)</script><img/src=x/onerror=alert(2)> </style>\"'><svg/onload=alert(3)> " + 30 * "long"
DURATION = """async () => {
  const audio = document.querySelector("audio");
  audio.preload = "auto";
  audio.load();
  await new Promise((resolve, reject) => { audio.onloadedmetadata = resolve; audio.onerror = reject; });
  return audio.duration;
}"""


@pytest.mark.slow
def test_it_is_safe_narrow_and_audible(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed")
    utterances = [Utterance(name=EVIL, reference=f"a {EVIL}", speaker=each, fields={"x": EVIL}) for each in "ab"]
    report = evaluate_recognition(utterances, {EVIL: [EVIL, "b"], "y": ["a", EVIL]})
    clips = dict(enumerate(audio_clips([ManifestEntry(SPEECH), ManifestEntry(SPEECH)])))
    (tmp_path / "index.html").write_text(recognition_page(report, clips=clips), encoding="utf-8")
    seen: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("dialog", lambda dialog: seen.append(dialog.message))
        page.on("console", lambda message: seen.append(message.text))
        page.on("request", lambda request: seen.append(request.url[:30]))
        page.goto(f"file://{tmp_path}/index.html")
        assert seen == [f"file://{tmp_path}/index.html"[:30]]
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate(DURATION) > 1
        assert page.locator("h3", has_text="<script>").count() >= 2
        browser.close()
