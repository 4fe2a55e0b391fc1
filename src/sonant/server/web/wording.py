"""Formatting of numbers and short texts."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from markupsafe import Markup, escape

ADDRESS = re.compile(r"(https?://[^\s<>\"]*[^\s<>\".,;:!?)]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)")


def count(number: float) -> str:
    """Write a whole number in groups of three digits: 94,000."""
    return f"{number:,.0f}"


def millions(parameters: int) -> str:
    """Write a number of parameters: 6.9 M, 315 M, 2.16 B."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.3g} B"
    return f"{parameters / 1e6:.0f} M" if parameters >= 99.5e6 else f"{parameters / 1e6:.1f} M"


def decimal(amount: Decimal) -> str:
    """Write an amount exactly, without an exponent or trailing zeros: 0.01."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal) -> str:
    """Write an amount exactly, and with cents: 5.00, 0.000021."""
    digits = -int(amount.normalize().as_tuple().exponent)
    return f"{amount:,.{max(2, digits)}f}"


def moment(seconds: float) -> Markup:
    """Write a unix time to the minute, for display and as ISO 8601."""
    time = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}" class="nowrap">{}</time>').format(time.isoformat(), f"{time:%Y-%m-%d %H:%M} UTC")


def figure(value: float) -> str:
    """Write a number without an exponent, with three digits that count, or all of its integer part: 0.065, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else decimal(Decimal(f"{value:.3g}"))


def duration(seconds: float) -> str:
    """Write a duration: 25 ms, 1.5 s, 30 min, 2 h."""
    if 0 < seconds < 1:
        return f"{figure(seconds * 1000)} ms"
    if seconds < 120:
        return f"{figure(seconds)} s"
    return f"{figure(seconds / 60)} min" if seconds < 7200 else f"{figure(seconds / 3600)} h"


def size(num_bytes: int) -> str:
    """Write a number of bytes: 25 MiB."""
    return f"{num_bytes / 2**20:.3g} MiB"


def prose(text: str) -> Markup:
    """Convert plain text to paragraphs, with `code` between backticks."""
    return Markup("").join(
        Markup("<p>{}</p>").format(_with_code(" ".join(part.split()))) for part in text.split("\n\n") if part.strip()
    )


def linked(text: str) -> Markup:
    """Make links of the web and e-mail addresses in a text."""
    return Markup("").join(
        Markup('<a href="{}{}">{}</a>').format("" if "://" in piece else "mailto:", piece, piece) if i % 2 else piece
        for i, piece in enumerate(ADDRESS.split(text))
    )


def _with_code(text: str) -> Markup:
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # an unpaired backtick
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if i % 2 else escape(piece) for i, piece in enumerate(pieces)
    )
