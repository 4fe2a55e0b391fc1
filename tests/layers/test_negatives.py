"""Negatives come from the same clip, are never the row itself, and are uniform over the others."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.layers.negatives import draw_negatives

LENGTHS = st.lists(st.sampled_from([0, 2, 3, 4, 7, 30]), min_size=1, max_size=6)


@given(lengths=LENGTHS, count=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_negatives_are_other_rows_of_the_same_clip(lengths: list[int], count: int, seed: int) -> None:
    negatives = draw_negatives(torch.tensor(lengths), count, generator=torch.Generator().manual_seed(seed))
    total = sum(lengths)
    assert negatives.shape == (total, count)
    assert negatives.dtype == torch.int64
    clips = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    for row, drawn in enumerate(negatives.tolist()):
        assert row not in drawn
        assert all(0 <= other < total and clips[other] == clips[row] for other in drawn)


def test_negatives_are_uniform_over_the_others() -> None:
    lengths, count = torch.tensor([5, 2, 9]), 40_000
    negatives = draw_negatives(lengths, count, generator=torch.Generator().manual_seed(0))
    for row, drawn in enumerate(negatives):
        seen = torch.bincount(drawn, minlength=16).float()
        others = 4 if row < 5 else 1 if row < 7 else 8
        assert int((seen > 0).sum()) == others
        expected = count / others
        # Five standard deviations of a count, in every one of 16 rows.
        assert (seen[seen > 0] - expected).abs().max() <= 5 * (expected * (1 - 1 / others)) ** 0.5


def test_rows_draw_independently_and_with_replacement() -> None:
    first, second, *_ = draw_negatives(torch.tensor([4]), 3_000, generator=torch.Generator().manual_seed(1))
    shared = (first == 3).float() @ (second == 3).float() / 3_000
    assert shared == pytest.approx(1 / 9, abs=0.03)
    assert (first[1:] == first[:-1]).float().mean() == pytest.approx(1 / 3, abs=0.05)


def test_a_seed_repeats_the_draw() -> None:
    draws = [draw_negatives(torch.tensor([8, 3]), 5, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*draws)


def test_a_clip_of_one_row_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no other to draw"):
        draw_negatives(torch.tensor([3, 1]), 5)
