"""Blocks of any size give the moments of the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sonant.running_moments import RunningMoments


@given(st.integers(0, 2**16), st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_blocks_give_what_the_whole_gives(seed: int, sizes: list[int]) -> None:
    values = np.random.default_rng(seed).normal(1000, 1, (sum(sizes), 3))
    moments = RunningMoments(np.zeros(3), np.zeros((3, 3)))
    for block in np.split(values, np.cumsum(sizes)[:-1]):
        centered = block - block.mean(0)
        moments.add(len(block), block.mean(0), centered.T @ centered, square=lambda gap: np.outer(gap, gap))
    assert moments.count == len(values)
    np.testing.assert_allclose(moments.mean, values.mean(0))
    centered = values - values.mean(0)
    np.testing.assert_allclose(moments.squares, centered.T @ centered, atol=1e-6)
