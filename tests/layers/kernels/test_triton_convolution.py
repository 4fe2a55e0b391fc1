"""The grouped convolution in Triton equals PyTorch's, forward and backward; without a GPU, in Triton's interpreter."""

import pytest
import torch

from sonant.layers.kernels.triton_convolution import convolve, convolve_reference
from tests.triton_kernels import DEVICE, needs_triton

needs_triton()


@pytest.mark.parametrize("taps", [1, 4, 7])
@pytest.mark.parametrize(("channels", "groups"), [(16, 2), (24, 1)])
@pytest.mark.parametrize("lengths", [[1], [5, 1, 40], [130, 3]], ids=str)
def test_equals_the_reference(lengths: list[int], channels: int, groups: int, taps: int) -> None:
    torch.manual_seed(0)
    dim = channels * groups
    shapes = (sum(lengths), dim), (dim, channels, taps), (dim,)
    given = [torch.randn(shape, device=DEVICE).requires_grad_() for shape in shapes]
    exact = [part.detach().double().requires_grad_() for part in given]
    ours, expected = convolve(*given, lengths), convolve_reference(*exact, lengths)
    slope = torch.randn_like(expected)
    gradients = torch.autograd.grad((ours * slope).sum(), given)
    wanted = torch.autograd.grad((expected * slope).sum(), exact)
    for one, other in zip((ours, *gradients), (expected, *wanted), strict=True):
        assert one.shape == other.shape
        assert (one.double() - other).norm() <= 1e-6 * other.norm()


def test_half_precision_and_no_bias() -> None:
    torch.manual_seed(0)
    frames, weight = torch.randn(30, 32, device=DEVICE).half(), torch.randn(32, 16, 4, device=DEVICE).half()
    ours = convolve(frames.T.contiguous().T, weight, None, [9, 21])
    assert ours.dtype == torch.float16
    expected = convolve_reference(frames.double(), weight.double(), None, [9, 21])
    assert (ours.double() - expected).norm() <= 1e-3 * expected.norm()


def test_nan_stays_in_its_clip() -> None:
    frames, weight = torch.randn(9, 16, device=DEVICE), torch.randn(16, 16, 8, device=DEVICE)
    frames[3:6] = float("nan")
    mixed = convolve(frames, weight, None, [3, 3, 3])
    assert mixed[3:6].isnan().all()
    assert mixed[:3].isfinite().all()
    assert mixed[6:].isfinite().all()


@pytest.mark.slow
def test_the_operator_keeps_its_promises() -> None:
    """Schema, shapes without data, gradients under tracing: what a compiler relies on."""
    from sonant.layers.kernels.triton_blocks import block_table
    from sonant.layers.kernels.triton_convolution import packed_convolution

    frames, taps = torch.randn(9, 32, device=DEVICE), torch.randn(2, 4, 16, 16, device=DEVICE)
    parts = [part.requires_grad_() for part in (frames, taps, torch.randn(32, device=DEVICE))]
    torch.library.opcheck(packed_convolution, (*parts, block_table((5, 4), DEVICE), 2))
