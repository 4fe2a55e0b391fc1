"""Sum, norm and GELU in one pass equal those of PyTorch; without a GPU, in Triton's interpreter."""

import pytest
import torch

from sonant.layers.kernels.triton_norm import ELEMENTS, norm_reference, norm_triton
from tests.triton_kernels import DEVICE, needs_triton

needs_triton()


@pytest.mark.parametrize("kept", ["sum", "norm", None])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("parts", ["norm", "sum and norm", "sum"])
@pytest.mark.parametrize(("rows", "dim"), [(1, 1), (7, 48), (ELEMENTS // 512 + 1, 512)])
def test_equals_the_reference(rows: int, dim: int, parts: str, gelu: bool, kept: str | None) -> None:
    torch.manual_seed(0)
    x, added = 3 + torch.randn(rows, 2 * dim, device=DEVICE)[:, :dim], torch.randn(rows, dim, device=DEVICE).half()
    weight, bias = torch.randn(2, dim, device=DEVICE) if "norm" in parts else (None, None)
    arguments = (x, weight, bias, 1e-5, torch.float16)
    more = {"added": added if "sum" in parts else None, "gelu": gelu, "kept": kept}
    given, expected = norm_triton(*arguments, **more), norm_reference(*arguments, **more)
    assert given[0].dtype == torch.float16
    torch.testing.assert_close(given[0], expected[0], rtol=1e-3, atol=1e-4)
    if kept is None:
        assert given[1] is None
    else:
        torch.testing.assert_close(given[1], expected[1], rtol=1e-4, atol=1e-5)


def test_a_row_of_nan_stays_alone() -> None:
    x, ones = torch.randn(9, 16, device=DEVICE), torch.ones(16, device=DEVICE)
    x[4] = float("nan")
    result, _ = norm_triton(x, ones, ones, 1e-5, torch.float32)
    assert result[4].isnan().all()
    assert result[[0, 1, 2, 3, 5, 6, 7, 8]].isfinite().all()
