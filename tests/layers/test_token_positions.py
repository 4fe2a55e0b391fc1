"""Where tokens stand: counted anew in each clip, whatever lies beside it."""

import math

import torch

from sonant.layers.packed import Packed
from sonant.layers.token_positions import FIRST_ROW, LearnedPositions, SinusoidalPositions


def test_places_begin_anew_in_each_clip() -> None:
    positions = LearnedPositions(5, 3)
    frames = Packed(torch.zeros(9, 3), torch.tensor([4, 0, 5]))
    rows = torch.cat([positions.weight[FIRST_ROW : FIRST_ROW + 4], positions.weight[FIRST_ROW : FIRST_ROW + 5]])
    assert torch.equal(positions(frames), rows)


def test_sines_and_cosines_by_their_formula() -> None:
    given = SinusoidalPositions(6)(Packed(torch.zeros(3, 6), torch.tensor([3])))
    rates = [1.0, 10_000 ** (-1 / 2), 10_000**-1.0]
    expected = [
        [math.sin((i + 2) * rate) for rate in rates] + [math.cos((i + 2) * rate) for rate in rates] for i in range(3)
    ]
    torch.testing.assert_close(given, torch.tensor(expected), rtol=1e-5, atol=1e-6)
