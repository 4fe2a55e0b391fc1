"""Elements, data and the style of pages: nothing ends an element early, and texts can be read in both themes."""

import json
import re
from base64 import b64encode
from hashlib import sha256

from sonant.pages.html import Markup, data_block, document, joined, tag
from sonant.pages.style import STYLE


def luminance(color: str) -> float:
    digits = color if len(color) == 6 else "".join(2 * each for each in color)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_have_contrast_in_both_themes() -> None:
    """4.5 or more, as WCAG 2.2 AA asks."""
    themes = [dict(re.findall(r"--([\w-]+): #(\w+)", theme)) for theme in re.findall(r":root \{([^}]*)\}", STYLE)]
    assert len(themes) == 2
    pairs = [("text", "ground"), ("text", "panel"), ("dim", "ground"), ("accent", "ground"), ("left", "left-ground"),
             ("put", "put-ground")]  # fmt: skip
    for theme in themes:
        for text, ground in pairs:
            darker, lighter = sorted(luminance(theme[name]) for name in (text, ground))
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_markup_is_kept_and_text_escaped() -> None:
    assert tag("p", "a<b", Markup("<i>c</i>"), None, title='"&', hidden=True, lang=None) == (
        '<p title="&quot;&amp;" hidden>a&lt;b<i>c</i></p>'
    )
    assert joined("\udc80\x00<") == "\ufffd\ufffd&lt;"


def test_data_cannot_end_their_element() -> None:
    evil = "</script><!-- <script> & \u2028 \x00 \udc80"
    block = data_block("data", {"name": evil, evil: [1, 2.5, None]})
    assert block.startswith('<script id="data" type="application/json">')
    inside = block.removeprefix('<script id="data" type="application/json">').removesuffix("</script>")
    assert "<" not in inside
    assert json.loads(inside) == {
        "name": evil.replace("\udc80", "\ufffd"),
        evil.replace("\udc80", "\ufffd"): [1, 2.5, None],
    }


def test_only_the_script_of_the_page_may_run() -> None:
    code = "document.title = 'é';"
    page = document("x", "", script=code)
    digest = b64encode(sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#x27;", "'")
    assert page.count("<script>") == 1
    assert "script-src" not in document("x", "")
