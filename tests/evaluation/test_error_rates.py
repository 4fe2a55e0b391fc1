"""Error rates by hand, and against jiwer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import MeasurementError, UnknownName
from sonant.evaluation import ErrorCounts, align_texts, error_counts, error_rate

REFERENCES = ["the cat sat on the mat", "hello  world", "", "yes"]
HYPOTHESES = ["the cat sit on mat", "hello world", "uh", ""]


def test_a_corpus_by_hand() -> None:
    counts = error_counts(REFERENCES, HYPOTHESES)
    assert counts == [
        ErrorCounts(hits=4, substitutions=1, deletions=1),
        ErrorCounts(hits=2),
        ErrorCounts(insertions=1),
        ErrorCounts(deletions=1),
    ]
    assert [each.rate for each in counts] == [pytest.approx(2 / 6), 0, None, 1]
    assert error_rate(REFERENCES, HYPOTHESES) == pytest.approx(4 / 9), "errors over words of all, not a mean of rates"
    assert error_rate(["a b"], ["x y z"], unit="word") == 1.5


def test_units() -> None:
    assert error_rate([" ab  c "], ["abc"], unit="character") == 0.25, "a space is a character, several are one"
    assert error_rate(["k \u00e6 t"], ["k \u00e6 t\u0361s"], unit="phone") == pytest.approx(1 / 3)
    (steps,) = align_texts(["a b"], ["a c"])
    assert [step.kind for step in steps] == ["hit", "substitution"]
    with pytest.raises(UnknownName, match="word, character, phone"):
        error_rate(["a"], ["a"], unit="letter")


@given(st.lists(st.tuples(st.text("ab ", max_size=12), st.text("ab ", max_size=12)), min_size=1, max_size=5))
def test_counts_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    jiwer = pytest.importorskip("jiwer")
    references, hypotheses = ([" ".join(text.split()) for text in texts] for texts in zip(*pairs, strict=True))
    for unit, process in (("word", jiwer.process_words), ("character", jiwer.process_characters)):
        theirs = process(references, hypotheses)
        ours = sum(error_counts(references, hypotheses, unit=unit), ErrorCounts())
        assert ours == ErrorCounts(theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        (["a", "b"], ["a"], "2 references and 1 hypotheses"),
        (["a", None], ["a", "b"], r"references\[1\] is None"),
        (["a"], [3], r"hypotheses\[0\] is 3"),
        ("a b", ["a b"], "one text, 'a b'; expected a list"),
        (["", " "], ["a", ""], "no word at all"),
        ([], [], "0 references"),
    ],
)
def test_what_cannot_be_scored_is_refused(references: list[str], hypotheses: list[str], message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        error_rate(references, hypotheses)


def test_sums_do_not_depend_on_the_order() -> None:
    counts = error_counts(REFERENCES, HYPOTHESES)
    assert all(left + right == right + left for left, right in pairwise(counts))
