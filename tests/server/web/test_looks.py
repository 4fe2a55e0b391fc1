"""The stylesheet: legible in both themes, nothing from elsewhere, nothing that nobody uses."""

import re
from itertools import product
from pathlib import Path

import pytest

from sonant.server.web.pages import STATIC, TEMPLATES

CSS = (STATIC / "style.css").read_text()
COLORS: dict[str, tuple[str, str]] = {
    name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS)
}
GROUNDS = ("ground", "surface", "sunken")
PAIRS = [
    *product(("ink", "ink-soft", "accent", "accent-strong", "error", "live", "loading", "soon"), GROUNDS),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-soft"),
    *((name, f"{name}-soft") for name in ("live", "loading", "error", "soon")),
    *(("ink", f"{name}-soft") for name in ("live", "loading", "error", "soon", "accent")),
]


def luminance(color: str) -> float:
    """Relative, as WCAG 2 defines it."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """As WCAG 2 defines it: 1 to 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_legible(text: str, ground: str, theme: int) -> None:
    """AA for text of any size."""
    assert contrast(COLORS[text][theme], COLORS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_borders_of_controls_are_seen(ground: str, theme: int) -> None:
    assert contrast(COLORS["line-strong"][theme], COLORS[ground][theme]) >= 3


def test_colors_have_names() -> None:
    """A bare color would not follow the theme; those of the spectrogram are pictures, not text."""
    _, _, rules = CSS.partition("/* Ground */")
    named = [line for line in rules.splitlines() if re.search(r"#[0-9a-fA-F]{3,8}\b", line)]
    assert all(re.search("gradient|stop-color|light-dark", line) for line in named), named


def test_variables_exist_and_are_used() -> None:
    defined = set(re.findall(r"^\s*--([\w-]+):", CSS, re.MULTILINE))
    everywhere = [CSS, *(path.read_text() for path in STATIC.rglob("*.[cj]s*") if path.name != "htmx.min.js")]
    used = {name for text in everywhere for name in re.findall(r"(?:var\(|[\"'`])--([\w-]+)", text)}
    assert set(re.findall(r"var\(--([\w-]+)", CSS)) <= defined
    assert defined <= used


@pytest.mark.parametrize(
    "path", sorted(STATIC.rglob("*.css")) + sorted(TEMPLATES.rglob("*.html")), ids=lambda p: p.name
)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"url\([\"']?(https?:)?//|@import|(src|srcset)=[\"'](https?:)?//", text)
    assert not re.search(r"<(script|style)>|\sstyle=|\son\w+=\"", text)


STACKED = [
    pytest.param(table, id=path.name)
    for path in sorted(TEMPLATES.rglob("*.html"))
    for table in re.findall(r'<table class="stacked">.*?</table>', path.read_text(), re.DOTALL)
]


@pytest.mark.parametrize("table", STACKED)
def test_stacked_cells_are_named_as_their_columns_are(table: str) -> None:
    """A phone shows the names of columns beside the cells, and hides the head."""
    heads = {re.sub("<.*?>|{%.*?%}", "", head) for head in re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)}
    labels = re.findall(r'data-label="(.*?)"', table)
    assert labels
    assert set(labels) <= heads


def test_scripts_come_with_their_licenses() -> None:
    assert (STATIC / "htmx.min.js").stat().st_size < 60_000
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE.txt").read_text()
    for font in (STATIC / "fonts").glob("*.woff2"):
        assert font.stat().st_size < 30_000
        terms = font.with_name(font.name.rpartition("-")[0] + ".LICENSE.txt")
        assert "SIL Open Font License" in terms.read_text()


def test_motion_is_asked_for() -> None:
    """Whoever wants less motion gets none."""
    outside = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", CSS, flags=re.DOTALL)
    assert not re.search(r"\b(transition|animation)\b", outside)
