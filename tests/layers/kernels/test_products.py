"""The kernel equals torch's product in float64, for every size, layout and number of threads."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from sonant.layers.kernels import products
from sonant.layers.kernels.compiled import compiled
from sonant.layers.kernels.products import multiply

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows": torch.Tensor.contiguous,
    "columns": lambda x: x.T.contiguous().T,
    "every other": lambda x: x.repeat_interleave(2, 0).repeat_interleave(2, 1)[::2, ::2],
    "overlapping": lambda x: torch.randn(x.numel()).as_strided(x.shape, (min(3, len(x)), 1)),
}


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    if compiled("products") is None:
        pytest.skip("no kernel can be built here")
    monkeypatch.setattr(products, "faster_than_torch", lambda: True)
    monkeypatch.setattr(products, "LEAST", 1)
    yield
    torch.set_num_threads(before)


def matrices(rows: int, depth: int, columns: int, left: str, right: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(rows + depth + columns)
    a, b = LAYOUTS[left](torch.randn(rows, depth)), LAYOUTS[right](torch.randn(depth, columns))
    return a, b, torch.randn(columns), a.double() @ b.double()


@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (6, 256, 16), (199, 300, 35), (13, 7, 2100), (31, 515, 64)])
def test_product(sizes: tuple[int, int, int], left: str, right: str) -> None:
    a, b, bias, expected = matrices(*sizes, left, right)
    wide = torch.full((len(a), b.shape[1] + 3), 7.0)
    made = multiply(a, b, bias=bias, out=wide[:, : b.shape[1]])
    close = {"rtol": 1e-5, "atol": 1e-5 * sizes[1] ** 0.5}
    torch.testing.assert_close(made.double(), expected + bias.double(), **close)
    assert (wide[:, b.shape[1] :] == 7).all()  # nothing is written beside it
    multiply(a, b, out=made, add=True)
    torch.testing.assert_close(made.double(), 2 * expected + bias.double(), **close)


def test_each_number_is_summed_in_one_order() -> None:
    a, b, bias, _ = matrices(300, 520, 70, "rows", "columns")
    whole = multiply(a, b, bias=bias)
    assert torch.equal(whole[17:40, 5:], multiply(a[17:40], b[:, 5:], bias=bias[5:]))
    torch.set_num_threads(3)
    if compiled("products") is not None:
        assert torch.equal(whole, multiply(a, b, bias=bias))


def test_nan_stays_in_its_row_and_column() -> None:
    a, b, _, _ = matrices(20, 30, 40, "rows", "rows")
    a[3, 4] = b[5, 6] = torch.nan
    bad = multiply(a, b).isnan()
    assert bad[3].all()
    assert bad[:, 6].all()
    assert bad.sum() == 20 + 40 - 1
