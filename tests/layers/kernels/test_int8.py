"""The passes around products of integers: the kernel equals its plain reference, and both keep to exact arithmetic."""

import pytest
import torch
from torch import Tensor

from sonant.layers.kernels import int8
from sonant.layers.kernels.activations import activation
from sonant.layers.kernels.compiled import compiled
from sonant.layers.kernels.int8 import ACTIVATIONS, Int8Rows, Sums, dequantize, quantize, requantize

SHAPES = [(1, 1), (1, 768), (7, 13), (33, 65), (70, 1025), (0, 8)]


@pytest.fixture(params=["kernel", "reference"], autouse=True)
def path(request, monkeypatch) -> str:
    if request.param == "reference":
        monkeypatch.setenv("SONANT_KERNELS", "0")
    elif compiled("int8") is None:
        pytest.skip("no kernel on this machine")
    return request.param


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sums(rows: int, width: int, name=None) -> Sums:
    generator = torch.Generator().manual_seed(rows + width)
    drawn = (torch.rand(size, generator=generator) for size in (rows, width))
    made = (noise(rows, width) * 3e4).int()
    return Sums(made, *(1e-2 * scales for scales in drawn), noise(width, seed=1), name)


def same(given: Int8Rows, expected: Int8Rows) -> bool:
    return torch.equal(given.values, expected.values) and given.scales.equal(expected.scales)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quantized_to_the_nearest_step(shape, dtype) -> None:
    x = (noise(*shape) * 10.0 ** torch.arange(shape[0])[:, None].remainder(9)).to(dtype)
    given = quantize(x)
    assert (given.values.dtype, given.values.shape, given.scales.shape) == (torch.int8, x.shape, (len(x),))
    assert same(given, int8.quantize_reference(x))
    top = x.double().abs().amax(1) if x.numel() else x.new_zeros(0).double()
    torch.testing.assert_close(given.scales.double(), top / 127, rtol=1e-6, atol=0)
    off = given.values * given.scales[:, None].double() - x
    assert (off.abs() <= 0.50001 * given.scales[:, None]).all()
    assert (given.values.abs().amax(1) == 127).all() if len(x) else True


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_are_multiplied_first(shape, dtype) -> None:
    x, factors = noise(*shape).to(dtype), noise(shape[1], seed=2).exp()
    assert same(quantize(x, factors), quantize(x.float() * factors))
    given = sums(*shape, "gelu")
    assert same(requantize(given, factors), quantize(dequantize(given, torch.float32), factors))


def test_half_way_goes_to_the_even_step() -> None:
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -127.0]])
    assert quantize(x).values.tolist() == [[127, 0, 2, 2, 0, -2, 126, -127]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_without_a_step(dtype) -> None:
    x = noise(8, 50).to(dtype)
    x[1], x[2, 7], x[3, 49], x[4, 0] = 0, torch.nan, torch.inf, -torch.inf
    x[5] *= 1e-36
    x[6] = torch.finfo(dtype).max
    given = quantize(x)
    assert same(quantize(x[[0, 7]]), Int8Rows(given.values[[0, 7]], given.scales[[0, 7]]))
    assert given.scales[2:5].isnan().all()
    assert given.scales[[1, 5]].eq(0).all()
    assert given.values[1:6].eq(0).all()
    assert given.values[6].eq(127).all()
    assert given.scales[6].isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_may_lie_anyhow(dtype) -> None:
    x = noise(24, 40).to(dtype)
    for rows in (x.T, x[:, :17], x[::3], x[:1].expand(9, 40), x.flip(0)):
        assert same(quantize(rows), quantize(rows.contiguous()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numbers_of_sums(shape, name) -> None:
    given = sums(*shape, name)
    wide = given.sums.double() * given.row_scales[:, None].double() * given.column_scales + given.bias
    expected = wide if name is None else activation(name)(wide)
    made = dequantize(given, torch.float32)
    torch.testing.assert_close(made.double(), expected, rtol=2e-6, atol=2e-6)
    assert torch.equal(dequantize(given, torch.bfloat16), made.bfloat16())


def test_bfloat16_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    bits = torch.tensor([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0x7FFFFFFF], dtype=torch.int32)
    x = bits.view(torch.float32)  # two ties, their neighbors, what becomes infinite, the last NaN
    given = Sums(torch.zeros(1, len(x)).int(), torch.ones(1), torch.ones(len(x)), x, None)
    assert torch.equal(dequantize(given, torch.bfloat16)[0, :-1], x[:-1].bfloat16())
    assert dequantize(given, torch.bfloat16)[0, -1].isnan()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_requantized_as_in_two_passes(shape, name) -> None:
    given = sums(*shape, name)
    made, expected = requantize(given), int8.requantize_reference(given)
    torch.testing.assert_close(made.scales, expected.scales, rtol=1e-6, atol=1e-9)
    steps = (made.values.int() - expected.values).abs()
    assert (steps <= 1).all()
    assert steps.sum() <= 1e-3 * steps.numel()  # numbers that lie half way but for their last digit
    two = dequantize(given, torch.float32)
    assert same(made, quantize(two))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_not_finite_stays_so(name) -> None:
    given = sums(6, 40, name)
    given.row_scales[3] = torch.nan
    numbers, steps = dequantize(given, torch.float32), requantize(given)
    assert numbers.isnan().any(1).tolist() == [False, False, False, True, False, False]
    assert numbers[3].isnan().all()
    assert steps.scales.isnan().tolist() == [False, False, False, True, False, False]
    assert dequantize(given, torch.bfloat16)[3].isnan().all()


@pytest.mark.parametrize("name", ["gelu", "swish"])
def test_activations_of_any_number(name) -> None:
    """To 1e-6 where they bend, and relative to the number far out."""
    x = torch.cat([torch.linspace(-12, 12, 9001), torch.tensor([-1e30, -1e4, -100.0, 100.0, 1e4, 1e30])])
    given = Sums(torch.ones(len(x), 1).int(), x, torch.ones(1), torch.zeros(1), name)
    torch.testing.assert_close(
        dequantize(given, torch.float32)[:, 0].double(), activation(name)(x.double()), rtol=1e-6, atol=1e-6
    )


def test_threads_change_nothing() -> None:
    x, given = noise(300, 257), sums(300, 257, "gelu")
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append((quantize(x), requantize(given), dequantize(given, torch.bfloat16)))
    finally:
        torch.set_num_threads(before)
    one, three = results
    assert same(one[0], three[0])
    assert same(one[1], three[1])
    assert torch.equal(one[2], three[2])
