"""chrF against values worked out by hand."""

import pytest

from sonant.errors import MeasurementError
from sonant.evaluation import chrf


def test_chrf_by_hand() -> None:
    # Unigrams: 3 of 4 found, 3 of 3 wanted; bigrams 2 of 3 and 2 of 2; trigrams 1 of 2 and 1 of 1; longer ones: none.
    precision, recall = (3 / 4 + 2 / 3 + 1 / 2) / 3, 1.0
    assert chrf("a bcd", "abc") == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))
    assert chrf("abcd", "abc") > chrf("abc", "abcd")  # recall counts more
    assert chrf("Guten Tag", "Guten  Tag") == pytest.approx(100.0)
    assert chrf("xyz", "abc") == chrf("", "abc") == 0.0
    with pytest.raises(MeasurementError, match="expected text"):
        chrf(["abc"], "abc")  # type: ignore[arg-type]
