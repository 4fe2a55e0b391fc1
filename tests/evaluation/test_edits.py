"""Edit distance and alignment against their definition, and against jiwer."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.evaluation.edits import AlignedPair, align, edit_distance, weighted_edit_distance

texts = st.text("abc", max_size=9)


@given(left=texts, right=texts)
def test_it_is_the_least_number_of_edits(left: str, right: str) -> None:
    @cache
    def least(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = left[i - 1] == right[j - 1]
        return min(least(i - 1, j) + 1, least(i, j - 1) + 1, least(i - 1, j - 1) + (not same))

    distance = edit_distance(left, right)
    assert distance == least(len(left), len(right))
    costs = np.array([a != b for a in left for b in right], dtype=np.float64).reshape(len(left), len(right))
    assert distance == weighted_edit_distance(costs)
    steps = align(left, right)
    assert "".join(step.reference or "" for step in steps) == left
    assert "".join(step.hypothesis or "" for step in steps) == right
    assert sum(step.kind != "hit" for step in steps) == distance


def test_words_are_compared_whole() -> None:
    assert edit_distance("the cat sat".split(), "a cat sat down".split()) == 2
    assert align("the cat sat".split(), "a cat down".split()) == [
        AlignedPair("the", "a"), AlignedPair("cat", "cat"), AlignedPair("sat", "down")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "hypothesis", "kinds"),
    [
        ("ab", "ba", "IHD"),
        ("abc", "", "DDD"),
        ("", "ab", "II"),
        ("ab", "b", "DH"),
        ("abcd", "bxd", "DHSH"),
        ("", "", ""),
    ],
)
def test_an_alignment_by_hand(reference: str, hypothesis: str, kinds: str) -> None:
    assert "".join(step.kind[0].upper() for step in align(reference, hypothesis)) == kinds


def test_sequences_longer_than_a_machine_word() -> None:
    left = np.random.default_rng(0).integers(3, size=300).tolist()
    right = [*left[5:200], 7, 7, *left[210:]]
    costs = np.array([[a != b for b in right] for a in left], dtype=np.float64)
    assert edit_distance(left, right) == weighted_edit_distance(costs) == 15


@given(left=st.text("abcd", max_size=40), right=st.text("abcd", max_size=40))
def test_the_alignment_is_that_of_jiwer(left: str, right: str) -> None:
    jiwer = pytest.importorskip("jiwer")
    output = jiwer.process_words([" ".join(left)], [" ".join(right)])
    theirs = []
    for chunk in output.alignments[0]:
        reference = left[chunk.ref_start_idx : chunk.ref_end_idx]
        hypothesis = right[chunk.hyp_start_idx : chunk.hyp_end_idx]
        length = max(len(reference), len(hypothesis))
        theirs += [AlignedPair(*pair) for pair in zip(
            list(reference) or [None] * length, list(hypothesis) or [None] * length, strict=True
        )]  # fmt: skip
    assert align(left, right) == theirs
