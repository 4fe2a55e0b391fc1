"""HTML from nested calls: whatever is not markup already is escaped."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src data:"  # pages load nothing
VOID = {"meta", "br"}  # without content
# Characters that HTML forbids; and halves of surrogate pairs, which UTF-8 cannot hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return it for templates, which escape other text."""
        return self


Content = str | None  # None is left out


def tag(name: str, /, *content: Content, **attributes: str | bool | None) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        content: Markup as it is, other text escaped.
        attributes: `class_` stands for class, `aria_label` for aria-label; True is an attribute without a value, and
            None and False are left out.
    """
    given = [
        f" {key.strip('_').replace('_', '-')}" + ("" if value is True else f'="{_escaped(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    ]
    start = f"<{name}{''.join(given)}>"
    return Markup(start if name in VOID else f"{start}{joined(*content)}</{name}>")


def joined(*content: Content) -> Markup:
    """Return contents one behind another, escaped unless they are markup."""
    return Markup("".join(each if isinstance(each, Markup) else _escaped(each) for each in content if each is not None))


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table whose rows begin with their names, in a frame that scrolls by itself on a narrow screen."""
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
            tag(
                "tbody",
                *(tag("tr", tag("th", row[0], scope="row", dir="auto"), *(tag("td", each) for each in row[1:]))
                  for row in rows),
            ),
        ),
        class_="scroll", tabindex="0", role="region", aria_label=caption,
    )  # fmt: skip


def data_block(name: str, value: Any) -> Markup:
    """Return an element with this id whose text is a value as JSON, for a script to read."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for each in "<>&\u2028\u2029":  # so that no text ends the element
        text = text.replace(each, f"\\u{ord(each):04x}")
    text = _FORBIDDEN.sub("\ufffd", text)
    return tag("script", Markup(text), id=name, type="application/json")


def document(title: str, style: str, *body: Content, script: str = "") -> str:
    """Return a whole page.

    Args:
        title: of its tab.
        style: in CSS.
        body: its contents.
        script: code that runs when they are there; the browser runs no other, as its hash is in the policy.
    """
    policy = POLICY
    if script:
        policy += f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", Markup(style)),
    )
    code = tag("script", Markup(script)) if script else None
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *body, code), lang='en')}\n"


def _escaped(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text), quote=True)
