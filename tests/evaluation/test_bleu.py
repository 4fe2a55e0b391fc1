"""BLEU against values worked out by hand; sacrebleu 2 gives the same for the texts here."""

import math

import pytest

from sonant.errors import MeasurementError
from sonant.evaluation.bleu import bleu, bleu_counts


def test_bleu_by_hand() -> None:
    text, reference = "the cat sat on the mat today", "the cat sat on a mat today, he said"
    # 6 of 7 words, 4 of 6 pairs, 2 of 5 triples, 1 of 4; 7 words of 10, as the comma is one.
    assert bleu_counts(text, reference).tolist() == [6, 4, 2, 1, 7, 6, 5, 4, 7, 10]
    expected = 100 * math.exp(1 - 10 / 7) * (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** (1 / 4)
    assert bleu([text], [reference]) == pytest.approx(expected)
    # Counts are added over a corpus before they are divided; a missing order counts half of a match.
    both = 100 * math.exp(1 - 13 / 10) * (9 / 10 * 6 / 8 * 3 / 6 * 1 / 4) ** (1 / 4)
    assert bleu([text, "a b c"], [reference, "a b c"]) == pytest.approx(both)
    assert bleu(["a b c x"], ["a b c y"]) == pytest.approx(100 * (3 / 4 * 2 / 3 * 1 / 2 * 0.5 / 1) ** (1 / 4))
    assert bleu(["x y z w"], ["a b c d"]) == bleu([""], ["a"]) == bleu(["a b c"], ["a b c"]) == 0.0


def test_words_are_those_of_mteval() -> None:
    assert bleu_counts("Say &quot;3.5 or 1,000&quot; (12-year, don't).", "")[-2] == 14
    assert bleu_counts("\u0663.\u0665", "")[-2] == 3  # digits are those of ASCII
    with pytest.raises(MeasurementError, match="1 texts and 0 references"):
        bleu(["a"], [])
    with pytest.raises(MeasurementError, match="expected a list of texts"):
        bleu("ab", "ab")
    with pytest.raises(MeasurementError, match="expected text"):
        bleu(["a"], [None])  # type: ignore[list-item]
