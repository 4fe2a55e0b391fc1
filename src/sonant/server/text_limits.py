"""Limits on text from outside, the same for JSON, forms, query strings and paths."""

import re

from sonant.server.errors import ApiError

TEXT_BYTES = 8192  # of one text that is no recording
FIELDS = 128  # named values in one object, form or query string; endpoints know at most a dozen
# Databases and terminals do not take them as text. Tabs and line breaks are text.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
CHARSET = re.compile(r"charset\s*(\*?)[0-9*]*\s*=\s*[\"']?([^\"';\s]*)", re.IGNORECASE)
CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"}  # others (punycode) can take long to decode


def check_charset(content_type: str) -> None:
    """Raise ApiError 400 if a Content-Type names another charset than these."""
    for extended, charset in CHARSET.findall(content_type):
        if extended or charset.lower() not in CHARSETS:
            told = f"The charset {named(charset)!r} is not known here; expected utf-8."
            raise ApiError(400, "unsupported_content_type", told)


def check_text(text: str, param: str) -> str:
    """Return the text.

    Raises ApiError 400: it has control characters, or more than TEXT_BYTES bytes.
    """
    if len(text) > TEXT_BYTES or len(text.encode(errors="replace")) > TEXT_BYTES:
        raise too_long(param)
    if not text.isprintable() and (found := CONTROL.search(text)):
        raise ApiError(
            400,
            "invalid_value",
            f"{named(param)} has the control character U+{ord(found[0]):04X}; expected text.",
            param=named(param),
        )
    return text


def too_long(param: str) -> ApiError:
    return ApiError(
        400,
        "invalid_value",
        f"{named(param)} has more than {TEXT_BYTES} bytes, which only a recording may have.",
        param=named(param),
    )


def named(param: str) -> str:
    """Return the name of a parameter as it may stand in an answer: short and without control characters."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", param[:100])
