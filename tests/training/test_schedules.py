"""The cosine: up in a line, down in half a wave, and never below its floor."""

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.training import Cosine


def test_the_published_course() -> None:
    """wav2vec: 1e-7 to 5e-3 in 500 updates, then down to 1e-6 at update 400,000."""
    rates = [5e-3 * Cosine().scale(step, 400_000) for step in (0, 250, 500, 200_250, 400_000)]
    assert rates == pytest.approx([1e-7, (1e-7 + 5e-3) / 2, 5e-3, (5e-3 + 1e-6) / 2, 1e-6])


@given(steps=st.integers(10, 500), warmup=st.floats(0, 0.5), floor=st.floats(0, 0.5))
def test_rises_to_the_peak_and_falls_to_the_floor(steps: int, warmup: float, floor: float) -> None:
    schedule = Cosine(warmup=warmup, initial_scale=0.0, final_scale=floor)
    scales = [schedule.scale(step, steps) for step in range(steps)]
    top = scales.index(max(scales))
    assert scales[:top] == sorted(scales[:top])
    assert scales[top:] == sorted(scales[top:], reverse=True)
    assert max(scales) <= 1
    assert max(scales) > 1 - 10 / steps
    assert scales[-1] >= floor
    last = (1 + cos(pi * (1 - 1 / (steps * (1 - warmup))))) / 2
    assert scales[-1] == pytest.approx(floor + (1 - floor) * last, abs=1e-9)


def test_shares_beyond_the_run() -> None:
    with pytest.raises(ConfigurationError, match="shares"):
        Cosine(warmup=1.1)
