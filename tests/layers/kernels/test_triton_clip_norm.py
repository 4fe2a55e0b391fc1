"""Norm of channels and GELU in Triton equal PyTorch's, forward and backward; without a GPU, in the interpreter."""

import pytest
import torch

from sonant.layers.kernels import triton_clip_norm
from sonant.layers.kernels.triton_clip_norm import norm_gelu, norm_gelu_reference
from tests.triton_kernels import DEVICE, needs_triton

needs_triton()


@pytest.mark.parametrize(
    ("rows", "starts", "lengths", "steps"), [(1, [0], [2], 2), (1, [0, 48, 80], [40, 2, 33], 120), (2, [0], [50], 50)]
)
def test_equals_the_reference(
    rows: int, starts: list[int], lengths: list[int], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_clip_norm, "BLOCK", 32)  # several of a clip
    torch.manual_seed(0)
    shapes = (rows, 4, steps), (4,), (4,)
    given = [(2 + torch.randn(shape, device=DEVICE)).requires_grad_() for shape in shapes]
    exact = [part.detach().double().requires_grad_() for part in given]
    ours = norm_gelu(*given, starts, lengths)
    expected = norm_gelu_reference(*exact, starts, lengths)
    slope = torch.randn_like(expected)
    gradients = torch.autograd.grad(ours, given, slope.to(ours.dtype))
    wanted = torch.autograd.grad(expected, exact, slope)
    for one, other in zip((ours, *gradients), (expected, *wanted), strict=True):
        assert one.shape == other.shape
        assert (one.double() - other).norm() <= 2e-6 * other.norm() + 1e-6


def test_half_precision_far_from_zero() -> None:
    torch.manual_seed(0)
    stream = (100 + torch.randn(1, 2, 300, device=DEVICE)).half().requires_grad_()
    weight, bias = torch.ones(2, device=DEVICE), torch.zeros(2, device=DEVICE)
    ours = norm_gelu(stream, weight, bias, [0], [300])
    assert ours.dtype == torch.float16
    expected = norm_gelu_reference(stream.detach().double(), weight.double(), bias.double(), [0], [300])
    assert (ours.double() - expected).norm() <= 1e-3 * expected.norm()
    ours.sum().backward()
    assert stream.grad is not None
    assert stream.grad.dtype == torch.float16


def test_nan_stays_in_its_clip() -> None:
    stream = torch.randn(1, 2, 96, device=DEVICE)
    stream[:, :, 30] = float("nan")
    result = norm_gelu(stream, torch.ones(2, device=DEVICE), torch.zeros(2, device=DEVICE), [0, 48], [40, 40])
    assert result[:, :, :40].isnan().all()
    assert result[:, :, 40:].isfinite().all()
