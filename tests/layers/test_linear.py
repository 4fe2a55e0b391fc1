"""The products in training are those of `nn.Linear`, forward and backward."""

import pytest
import torch
from torch import Tensor, nn

from sonant.layers.kernels import products
from sonant.layers.linear import project


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_the_module(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(40, 30, bias=bias), torch.randn(2, 25, 40, requires_grad=True)
    expected = torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()])
    monkeypatch.setattr(products, "faster_than_torch", lambda: True)
    monkeypatch.setattr(products, "LEAST", 1)
    made = project(layer, x)
    assert type(made.grad_fn).__name__ != "AddmmBackward0"
    torch.testing.assert_close(made, layer(x), rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(made.square().sum(), [x, *layer.parameters()])
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


def test_hooks_and_other_modules_are_called() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    x, seen = torch.randn(3, 4), []
    doubled, hooked = Doubled(4, 5), nn.Linear(4, 5)
    hooked.register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(project(doubled, x), doubled(x))
    assert torch.equal(project(hooked, x), hooked(x))
    assert len(seen) == 2
