"""Pairs whose gains add up to the most, against all that there are."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.decoding.assignment import best_assignment


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**16), st.booleans())
def test_no_other_pairs_gain_more(rows: int, columns: int, seed: int, whole: bool) -> None:
    draw = np.random.default_rng(seed)
    gains = draw.integers(-3, 4, (rows, columns)).astype(float) if whole else draw.normal(size=(rows, columns))
    chosen = best_assignment(gains)
    taken = chosen[chosen >= 0]
    assert len(taken) == len(set(taken.tolist())) == min(rows, columns)
    short, wide = (gains, columns) if rows <= columns else (gains.T, rows)
    best = max(sum(short[i, j] for i, j in enumerate(way)) for way in permutations(range(wide), len(short)))
    assert sum(gains[i, j] for i, j in enumerate(chosen) if j >= 0) == pytest.approx(best)
