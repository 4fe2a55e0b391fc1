"""Numbers and texts for people."""

from decimal import Decimal

import pytest

from sonant.server.web.wording import count, decimal, duration, figure, linked, millions, prose, size


@pytest.mark.parametrize(
    ("number", "text"),
    [(6_858_400, "6.9 M"), (94_381_936, "94.4 M"), (315_453_120, "315 M"), (2_159_259_648, "2.16 B")],
)
def test_millions(number: int, text: str) -> None:
    assert millions(number) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.010", "0.01"), ("0", "0"), ("100", "100"), ("1E-7", "0.0000001"), ("1E+2", "100"), ("0.00", "0")],
)
def test_decimals_are_exact(amount: str, text: str) -> None:
    assert decimal(Decimal(amount)) == text
    assert Decimal(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.025, "25 ms"), (1.5, "1.5 s"), (119, "119 s"), (1800, "30 min"), (7200, "2 h"), (36e6, "10,000 h"), (0, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_sizes() -> None:
    assert count(94_000) == "94,000"
    assert size(25 * 2**20) == "25 MiB"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0651, "0.0651"), (99.96, "100"), (12345.6, "12,346"), (0, "0"), (0.00002, "0.00002")]
)
def test_figures_have_no_exponent(value: float, text: str) -> None:
    assert figure(value) == text


def test_addresses_become_links_and_nothing_else_does() -> None:
    told = linked("<b>Write</b> to ada@example.org, or see https://example.org/a?b=1&c=2. javascript:alert(1)")
    assert told == (
        '&lt;b&gt;Write&lt;/b&gt; to <a href="mailto:ada@example.org">ada@example.org</a>, or see '
        '<a href="https://example.org/a?b=1&amp;c=2">https://example.org/a?b=1&amp;c=2</a>. javascript:alert(1)'
    )


def test_prose() -> None:
    assert prose("One `x<y`\nline.\n\nTwo & three.") == "<p>One <code>x&lt;y</code> line.</p><p>Two &amp; three.</p>"
    assert prose("<script>") == "<p>&lt;script&gt;</p>"
    assert prose("a lone ` tick") == "<p>a lone ` tick</p>"
    assert prose("") == ""
