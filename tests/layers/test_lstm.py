"""LSTM layers over packed frames."""

import pytest
import torch

from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed

CLIPS = [torch.randn(length, 3, generator=torch.Generator().manual_seed(length)) for length in (3, 9, 5)]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_clip_in_a_batch_is_the_clip_alone_by_torch(bidirectional: bool) -> None:
    torch.manual_seed(0)
    lstm = PackedLSTM(3, 4, num_layers=2, bidirectional=bidirectional)
    found, by_torch = lstm(Packed.pack(CLIPS)), lstm.by_torch(Packed.pack(CLIPS))
    for clip, one, other in zip(CLIPS, found, by_torch, strict=True):
        expected, _ = lstm.layers(clip[:, None])
        torch.testing.assert_close(one, expected[:, 0])
        torch.testing.assert_close(other, expected[:, 0])
    assert found.values.shape[1] == lstm.dim
    found.values.sum().backward()
    assert all(weight.grad is not None for weight in lstm.parameters())
