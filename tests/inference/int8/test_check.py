"""The check sees one frame that points elsewhere, and what large channels hide."""

import pytest
import torch

from sonant.inference.int8.check import equalized, lowest_cosine, near
from sonant.models import Encoded

LENGTHS = torch.tensor([5, 4])


def encoded(*states: torch.Tensor) -> Encoded:
    return Encoded(dict(enumerate(states)), states[-1], LENGTHS, 50.0)


@pytest.fixture
def states() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(9, 16), torch.randn(9, 16)]


def test_one_frame_decides(states) -> None:
    def moved(state: int, frame: int, by: float) -> Encoded:
        changed = [tensor.clone() for tensor in states]
        changed[state][frame] += by * torch.randn(16)
        return encoded(*changed)

    expected = encoded(*states)
    assert near(moved(1, 7, 0.0), expected)
    assert near(moved(0, 2, 0.01), expected)
    assert not near(moved(0, 2, 0.3), expected)
    assert not near(moved(1, 8, torch.nan), expected)


def test_a_large_channel_hides_nothing(states) -> None:
    """In raw frames one channel a hundred times as large outweighs all others, whatever becomes of them."""
    for state in states:
        state[:, 3] *= 100
    changed = [state.clone() for state in states]
    changed[0][4] += 0.5 * torch.randn(16)
    assert lowest_cosine(changed[0], states[0]) > 0.999
    assert lowest_cosine(*equalized(changed[0], states[0])) < 0.99
    assert not near(encoded(*changed), encoded(*states))


def test_channels_that_never_change_are_no_error(states) -> None:
    for state in states:
        state[:, 5] = 7.0
    assert near(encoded(*(state * 1.0001 for state in states)), encoded(*states))
