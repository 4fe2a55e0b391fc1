"""Edit distance against its definition."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from sonant.evaluation.edits import edit_distance

texts = st.text("abc", max_size=7)


@given(left=texts, right=texts)
def test_it_is_the_least_number_of_edits(left: str, right: str) -> None:
    @cache
    def least(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = left[i - 1] == right[j - 1]
        return min(least(i - 1, j) + 1, least(i, j - 1) + 1, least(i - 1, j - 1) + (not same))

    assert edit_distance(left, right) == least(len(left), len(right))


def test_words_are_compared_whole() -> None:
    assert edit_distance("the cat sat".split(), "a cat sat down".split()) == 2
