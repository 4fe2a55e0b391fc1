"""Convolutions as matrix products."""

import pytest
import torch
import torch.nn.functional as F

from sonant.inference.cpu.convolution import Convolution, PairedConvolution


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 3), (2, 2), (3, 1), (3, 2), (10, 5)])
@pytest.mark.parametrize("bias", [False, True])
def test_convolution_of_rows(kernel: int, stride: int, *, bias: bool) -> None:
    conv = torch.nn.Conv1d(6, 5, kernel, stride, bias=bias)
    for steps in (kernel, kernel + 1, 40):
        rows = torch.randn(steps, 12)[:, ::2]
        with torch.no_grad():
            expected = F.relu(conv(rows.T[None])[0].T)
            made = Convolution(conv.weight, conv.bias, stride, precision="float32", activation="relu")(rows)
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_pairs_of_outputs_are_those_of_the_convolution(*, bias: bool) -> None:
    """From one output on; odd counts end in half a pair, and an even count of rows leaves one unseen."""
    conv = torch.nn.Conv1d(6, 5, 3, 2, bias=bias)
    for steps in range(3, 20):
        rows = torch.randn(steps, 6)
        with torch.no_grad():
            expected = conv(rows.T[None])[0].T
            torch.testing.assert_close(PairedConvolution(conv.weight, conv.bias)(rows), expected)
            activated = PairedConvolution(conv.weight, conv.bias, "gelu")(rows)
            torch.testing.assert_close(activated, F.gelu(expected))


def test_pairs_leave_their_input_as_it_was() -> None:
    rows = torch.randn(9, 4)
    before = rows.clone()
    PairedConvolution(torch.randn(4, 4, 3), None)(rows)
    assert torch.equal(rows, before)
