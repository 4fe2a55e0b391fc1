"""Optimized linear layers give what torch's give, by whichever product was found to be faster."""

import copy
import pickle
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.inference.cpu import linear
from sonant.inference.cpu.linear import CpuFeedForward, CpuLinear, OneDNNProduct, PlainProduct
from sonant.layers.kernels.activations import activation
from sonant.layers.transformer import FeedForward
from tests.inference.cpu.reordering import can_reorder

SHAPES = [(1, 1, 64), (1, 768, 1), (7, 3, 5), (33, 65, 129), (1030, 64, 32)]  # (rows, in, out)
ACTIVATIONS = [None, "gelu", "relu", "swish"]
TOLERANCE = {"float32": 1e-6, "bfloat16": 1e-2}


@pytest.fixture(params=[False, True], ids=["plain", "reordered"], autouse=True)
def path(request, monkeypatch) -> bool:
    """Both ways are tested, whichever is taken on this machine."""
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(linear, "reordered_is_faster", lambda precision: request.param and can_reorder(precision))
    return request.param


def tensors(rows: int, given: int, made: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(rows, given, generator=generator), torch.randn(made, given, generator=generator)
    return x, weight / given**0.5, torch.randn(made, generator=generator)


def off(given: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of what was expected."""
    assert given.shape == expected.shape
    return float((given.double() - expected.double()).norm() / expected.double().norm().clamp(min=1e-30))


@pytest.mark.parametrize(("shape", "name"), list(product(SHAPES, ACTIVATIONS)))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_equals_torch(precision, shape, name) -> None:
    x, weight, bias = tensors(*shape)
    for b in (bias, None):
        given = CpuLinear(weight, b, precision=precision, activation=name)(x)
        expected = F.linear(x.double(), weight.double(), None if b is None else b.double())
        expected = expected if name is None else activation(name)(expected)
        assert given.dtype == getattr(torch, precision)
        assert off(given, expected) <= TOLERANCE[precision]


@pytest.mark.parametrize("rows", [0, 1, 511, 1023, 1024, 1600])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_feed_forward_equals_the_module(precision, rows) -> None:
    torch.manual_seed(rows)
    block = FeedForward(48, 96, activation="swish", dropout=0.5, activation_dropout=0.5).eval()
    x = torch.randn(rows, 48)
    with torch.no_grad():
        expected = block(x)
    given = CpuFeedForward(block, precision=precision)(x)
    assert given.shape == expected.shape
    assert given.dtype == getattr(torch, precision)
    assert rows == 0 or off(given, expected) <= TOLERANCE[precision]


@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rows_may_lie_anyhow_and_in_either_type(precision, given) -> None:
    x, weight, bias = tensors(40, 24, 56)
    optimized = CpuLinear(weight.T.contiguous().T, bias, precision=precision)
    x = x.to(given)
    for rows in (x.T.contiguous().T, x.flip(0), x[::3], x[:1].expand(9, 24), x[:, None].expand(40, 2, 24)[:, 1], x[:0]):
        result = optimized(rows)
        assert result.dtype == getattr(torch, precision)
        torch.testing.assert_close(result, optimized(rows.contiguous()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_spoilt_row_spoils_no_other(precision) -> None:
    x, weight, bias = tensors(9, 24, 56)
    optimized = CpuLinear(weight, bias, precision=precision, activation="gelu")
    spoilt = x.clone()
    spoilt[3, 5], spoilt[6] = float("nan"), 1e30
    given, sound = optimized(spoilt), torch.tensor([0, 1, 2, 4, 5, 7, 8])
    assert given[3].isnan().all()
    assert torch.equal(given[sound], optimized(x)[sound])
    assert given[6].isfinite().all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_neither_training_nor_another_type_changes_it(precision) -> None:
    x, weight, bias = tensors(9, 24, 56)
    weight, bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
    optimized = CpuLinear(weight, bias, precision=precision)
    expected = optimized(x)
    assert not expected.requires_grad
    for moved in (copy.deepcopy(optimized), copy.deepcopy(optimized).to(torch.float64), optimized.train().half()):
        assert torch.equal(moved(x), expected)
    with torch.inference_mode():
        assert torch.equal(CpuLinear(weight, bias, precision=precision)(x), expected)


def test_reordered_weights_are_not_saved(path) -> None:
    optimized = CpuLinear(*tensors(1, 24, 56)[1:], precision="float32")
    assert not optimized.state_dict()
    if path:
        with pytest.raises(ConfigurationError, match="optimize that again"):
            pickle.dumps(optimized)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("trouble", ["missing", "refused", "wrong"])
def test_reordered_weights_are_tried_before_they_are_used(precision, trouble, monkeypatch) -> None:
    monkeypatch.undo()
    choose = linear.reordered_is_faster.__wrapped__
    monkeypatch.setattr(linear, "seconds", lambda *calls: [2.0, 1.0])
    assert choose(precision) == can_reorder(precision)

    def call(self: OneDNNProduct, x: Tensor) -> Tensor:
        match trouble:
            case "missing":
                return torch.ops.mkldnn._no_such_operator(x)
            case "refused":
                raise RuntimeError("no such instruction")
            case _:
                return torch.full((x.shape[0], 768), float("nan"))

    monkeypatch.setattr(OneDNNProduct, "__call__", call)
    assert not choose(precision)


def test_the_faster_is_taken(monkeypatch) -> None:
    monkeypatch.undo()
    for times, expected in (([1.0, 2.0], False), ([2.0, 1.0], hasattr(torch.ops.mkldnn, "_linear_pointwise"))):
        monkeypatch.setattr(linear, "seconds", lambda *calls, times=times: times)
        assert linear.reordered_is_faster.__wrapped__("float32") == expected
        monkeypatch.setattr(linear, "reordered_is_faster", lambda _, expected=expected: expected)
        kind = OneDNNProduct if expected else PlainProduct
        assert isinstance(CpuLinear(*tensors(1, 24, 56)[1:], precision="float32").product, kind)
        monkeypatch.undo()


@pytest.mark.parametrize("function", ["exact", "saturating"])
def test_integers_that_saturate_are_no_use(function, monkeypatch) -> None:
    if function == "saturating":
        monkeypatch.setattr(torch, "_int_mm", lambda a, b: (a.int() @ b.int()).clamp(max=2**15 - 1))
    else:
        monkeypatch.setattr(torch, "_int_mm", lambda a, b: a.int() @ b.int())
    assert linear.integers_are_exact.__wrapped__() == (function == "exact")


@pytest.fixture(params=["kernel", "reference"])
def kernel(request, monkeypatch) -> None:
    if request.param == "reference":
        monkeypatch.setenv("SONANT_KERNELS", "0")


def in_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Integers and step sizes of rows, as they must be."""
    steps = x.abs().amax(1, keepdim=True) / 127
    return (x / steps).round().nan_to_num(), steps


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [*SHAPES, (0, 24, 56)])
def test_integer_products_are_exact(shape, name) -> None:
    x, weight, bias = tensors(*shape)
    for b, beside in ((bias, "bfloat16"), (None, "bfloat16"), (bias, "float32")):
        given = CpuLinear(weight, b, precision="int8", beside=beside, activation=name)(x)
        (rows, row_steps), (columns, column_steps) = in_steps(x.double()), in_steps(weight.double())
        expected = (rows @ columns.T) * row_steps * column_steps.T + (0 if b is None else b)
        expected = expected if name is None else activation(name)(expected)
        assert given.dtype == getattr(torch, beside)
        rtol = 2**-8 if beside == "bfloat16" else 1e-5
        torch.testing.assert_close(given.double(), expected, rtol=rtol, atol=1e-5)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("beside", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [0, 1, 700, 1600])
def test_feed_forward_in_integers_is_near_the_module(rows, beside) -> None:
    torch.manual_seed(rows)
    block = FeedForward(48, 96, activation="gelu").eval()
    x = torch.randn(rows, 48)
    x[rows // 2 :: 7] = 0
    with torch.no_grad():
        expected = block(x)
    optimized = CpuFeedForward(block, precision="int8", beside=beside)
    given = optimized(x)
    assert given.shape == expected.shape
    assert given.dtype == getattr(torch, beside)
    assert rows == 0 or off(given, expected) <= 0.02
    assert torch.equal(copy.deepcopy(optimized)(x), given)


def test_a_row_in_integers_heeds_itself_alone() -> None:
    torch.manual_seed(0)
    optimized, x = CpuFeedForward(FeedForward(48, 96), precision="int8"), torch.randn(2000, 48)
    x[30, 5], x[40] = torch.nan, 1e30
    whole = optimized(x)
    assert whole.isnan().any(1).nonzero().tolist() == [[30]]
    for rows in (slice(0, 30), slice(31, 40), slice(41, 2000), slice(1999, 2000)):
        assert torch.equal(optimized(x[rows]), whole[rows])
