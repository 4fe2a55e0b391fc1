"""LSTM layers over packed frames."""

import torch

from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed


def test_a_clip_in_a_batch_is_the_clip_alone() -> None:
    torch.manual_seed(0)
    lstm = PackedLSTM(3, 4, num_layers=2)
    clips = [torch.randn(length, 3) for length in (3, 9, 5)]
    for clip, found in zip(clips, lstm(Packed.pack(clips)), strict=True):
        expected, _ = lstm.layers(clip[:, None])
        torch.testing.assert_close(found, expected[:, 0])
    assert found.shape[1] == lstm.dim == 8
