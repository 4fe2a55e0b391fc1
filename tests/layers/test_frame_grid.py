"""Frames at other times than those of the model."""

import torch

from sonant.layers.frame_grid import FrameGrid
from sonant.layers.packed import Packed


def test_values_that_are_linear_in_time_stay_so() -> None:
    grid, lengths = FrameGrid(stride=320, receptive_field=400), [5, 9]
    centers = [199.5 + 320 * torch.arange(length)[:, None] for length in lengths]
    found = grid.interpolated(Packed.pack(centers), 100, torch.tensor([18, 30]))
    for times, center in zip(found, centers, strict=True):
        expected = (100.0 * torch.arange(len(times))[:, None]).clamp(min=float(center[0]), max=float(center[-1]))
        torch.testing.assert_close(times, expected)
