"""The kernel equals the formula, in float64, for every bias, shape and layout that it serves."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from sonant.layers import attention
from sonant.layers.attention import Bias, attend, attend_by_torch, attend_reference
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.compiled import compiled
from sonant.layers.kernels.cpu_attention import attend_cpu


def has_kernel() -> bool:
    """For one thread, as these tests run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = compiled("cpu_attention") is not None
    torch.set_num_threads(threads)
    return found


needs_kernel = pytest.mark.skipif(not has_kernel(), reason="no kernel can be built here")
quick = settings(max_examples=40, deadline=None, derandomize=True)
kinds = st.sampled_from(["none", "table", "keys"])
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
FAR = 3e38


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def packed_heads(
    lengths: list[int], heads: int = 2, head_dim: int = 64, *, dtype: torch.dtype = torch.float32, behind: int = 0
) -> list[Tensor]:
    """Query, key and value as slices of one product, peaky, with other columns behind them."""
    torch.manual_seed(sum(lengths) + head_dim)
    columns = torch.randn(sum(lengths), 3 * heads * head_dim + behind).to(dtype)
    query, key, value = columns[:, : 3 * heads * head_dim].unflatten(1, (3, heads, head_dim)).unbind(1)
    return [query.mul_(2), key, value]


def bias_of(kind: str, lengths: list[int], heads: int = 2, *, left: int = 64, beyond: int = 0) -> Bias | None:
    match kind:
        case "table":
            gates = torch.rand(sum(lengths), heads + 3)[:, 1 : heads + 1] * 2 + 1  # columns of a wider product
            return RelativeBias(torch.randn(heads, 2 * (max(lengths) + beyond) - 1), gates)
        case "keys":
            return RelativeKeyBias(torch.randn(sum(lengths), heads, left + 9), left)
    return None


def in_float64(bias: Bias | None) -> Bias | None:
    match bias:
        case RelativeBias(table=table, gate=gate):
            return RelativeBias(table.double(), gate.double())
        case RelativeKeyBias(scores=scores, left=left):
            return RelativeKeyBias(scores.double(), left)
    return None


def assert_equals_the_formula(
    tensors: list[Tensor], lengths: list[int], bias: Bias | None, *, tolerance: float = 1.0
) -> None:
    ours = attend_cpu(*tensors, lengths, bias)
    assert ours is not None
    assert ours.dtype == tensors[0].dtype
    assert ours.is_contiguous()
    query, key, value = (x.double() for x in tensors)
    expected = attend_reference(query, key, value, lengths, in_float64(bias))
    size = attend_reference(query, key, value.abs(), lengths, in_float64(bias))  # of what was summed
    error = (ours.double() - expected).norm(dim=-1) / size.norm(dim=-1)  # (total, heads)
    assert error.max() < tolerance * TOLERANCE[ours.dtype]


@needs_kernel
@quick
@given(
    st.lists(st.one_of(st.integers(1, 70), st.sampled_from([255, 256, 257, 600])), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from([1, 7, 16, 64, 80, 130]),
    kinds,
    st.sampled_from(list(TOLERANCE)),
)
def test_equals_the_formula(lengths: list[int], heads: int, head_dim: int, kind: str, dtype: torch.dtype) -> None:
    tensors = packed_heads(lengths, heads, head_dim, dtype=dtype, behind=5)
    assert_equals_the_formula(tensors, lengths, bias_of(kind, lengths, heads))


@needs_kernel
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [*range(1, 34), 47, 48, 49, 63, 64, 65, 383, 384, 385, 386, 513, 1025])
def test_every_length(length: int, dtype: torch.dtype) -> None:
    """Where tiles, panels, blocks and tasks end."""
    assert_equals_the_formula(packed_heads([length], 1, dtype=dtype), [length], bias_of("table", [length], 1))


@needs_kernel
@pytest.mark.parametrize("left", [0, 1, 64, 300, 700])
@pytest.mark.parametrize("length", [1, 9, 100, 600])
def test_relative_keys_of_any_reach(length: int, left: int) -> None:
    assert_equals_the_formula(packed_heads([length]), [length], bias_of("keys", [length], left=left))


@needs_kernel
@pytest.mark.parametrize("beyond", [0, 1, 5, 100])
def test_a_table_may_reach_beyond_the_clips(beyond: int) -> None:
    lengths = [30, 70]
    assert_equals_the_formula(packed_heads(lengths), lengths, bias_of("table", lengths, beyond=beyond))


@needs_kernel
@pytest.mark.parametrize("kind", ["none", "table", "keys"])
def test_does_not_depend_on_batch_mates_or_threads(kind: str) -> None:
    lengths = [77, 1, 500, 40, 500]
    tensors, bias = packed_heads(lengths, behind=2), bias_of(kind, lengths)
    together = attend_cpu(*tensors, lengths, bias)
    assert together is not None
    torch.set_num_threads(2)
    divided = attend_cpu(*tensors, lengths, bias)
    assert divided is None or torch.equal(divided, together)  # None: built without threads
    torch.set_num_threads(1)
    start = 0
    for length in lengths:
        own = slice(start, start + length)
        match bias:
            case RelativeBias(table=table, gate=gate):
                own_bias: Bias | None = RelativeBias(table, gate[own])
            case RelativeKeyBias(scores=scores, left=left):
                own_bias = RelativeKeyBias(scores[own], left)
            case None:
                own_bias = None
        alone = attend_cpu(*(x[own] for x in tensors), [length], own_bias)
        assert alone is not None
        assert torch.equal(alone, together[own])
        start += length


@needs_kernel
@pytest.mark.parametrize("scale", [10, 1e2, 1e3])
def test_hard_attention_chooses_as_the_formula_does(scale: float) -> None:
    """Logits of a thousand are known to a thousand roundings of one."""
    tensors = packed_heads([300])
    tensors[0] = tensors[0] * scale
    assert_equals_the_formula(tensors, [300], bias_of("table", [300]), tolerance=scale)


@needs_kernel
def test_does_not_depend_on_how_the_work_is_cut() -> None:
    """Many threads cut one clip into runs of queries; where they begin changes nothing."""
    tensors, bias = packed_heads([700], 1), bias_of("table", [700], 1)
    whole = attend_cpu(*tensors, [700], bias)
    for threads in (2, 7):
        torch.set_num_threads(threads)
        divided = attend_cpu(*tensors, [700], bias)
        assert divided is None or torch.equal(divided, whole)  # type: ignore[arg-type]
        torch.set_num_threads(1)


@needs_kernel
@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf"), FAR, -FAR])
@pytest.mark.parametrize("place", [0, 1, 2, "gate", "table"])
def test_odd_numbers_go_where_the_formula_sends_them(place: int | str, odd: float) -> None:
    lengths = [40, 300, 20]
    tensors = [x.clone() for x in packed_heads(lengths)]
    bias = bias_of("table", lengths)
    assert isinstance(bias, RelativeBias)
    match place:
        case "gate":
            bias.gate[150, 0] = odd
        case "table":
            bias.table[0, 299 + 250] = odd  # heard by the first queries of the second clip
        case int():
            tensors[place][150, 0, 5] = odd
    ours, expected = attend_cpu(*tensors, lengths, bias), attend_reference(*tensors, lengths, bias)
    assert ours is not None
    torch.testing.assert_close(ours.isfinite(), expected.isfinite())
    torch.testing.assert_close(ours.nan_to_num(0, 0, 0), expected.nan_to_num(0, 0, 0), rtol=1e-4, atol=1e-4)


@needs_kernel
def test_every_logit_at_minus_infinity_is_undefined() -> None:
    query, key, value = (torch.ones(5, 1, 4) for _ in range(3))
    ours = attend_cpu(query * FAR, key * -FAR, value, [5], None)
    assert ours is not None
    assert ours.isnan().all()


def test_what_the_kernel_does_not_serve() -> None:
    query, key, value = packed_heads([4], 1, 8)
    for others in (
        [x.double() for x in (query, key, value)],
        [query, key.bfloat16(), value],
        [query, key, value[..., :4]],
        [x[..., ::2] for x in (query, key, value)],
        [x.to("meta") for x in (query, key, value)],
    ):
        assert attend_cpu(*others, [4], None) is None
    for lengths in ([3], [5], [5, -1]):
        assert attend_cpu(query, key, value, lengths, None) is None
    with FakeTensorMode():
        assert attend_cpu(*(torch.empty(4, 1, 8) for _ in range(3)), [4], None) is None


@pytest.mark.parametrize(
    "bias",
    [
        RelativeBias(torch.zeros(1, 5), torch.zeros(4, 1)),
        RelativeBias(torch.zeros(2, 7), torch.zeros(4, 1)),
        RelativeBias(torch.zeros(1, 7), torch.zeros(3, 1)),
        RelativeBias(torch.zeros(1, 7, device="meta"), torch.zeros(4, 1)),
        RelativeKeyBias(torch.zeros(3, 1, 5), 1),
        RelativeKeyBias(torch.zeros(4, 1, 5), 5),
    ],
)
def test_a_bias_that_does_not_fit_is_not_read(bias: Bias) -> None:
    assert attend_cpu(*packed_heads([4], 1, 8), [4], bias) is None


@needs_kernel
@pytest.mark.parametrize("kind", ["none", "table"])
def test_rounding_does_not_grow_with_the_length(kind: str) -> None:
    """Sums over 3,000 frames in one go, and a weight of 1.0000001 at each block, were 1.0e-6 from float64."""
    for length in (300, 3_000):
        query, key, value = packed_heads([length], 1)
        query, bias = query * 0.05, bias_of(kind, [length], 1)  # so even that all frames count
        exact = attend_reference(query.double(), key.double(), value.double(), [length], in_float64(bias))
        found = attend_cpu(query, key, value, [length], bias)
        assert found is not None
        assert (found - exact).norm() < 5e-7 * exact.norm()


@needs_kernel
def test_empty_clips_are_passed_over() -> None:
    tensors = packed_heads([9])
    assert torch.equal(attend_cpu(*tensors, [0, 9, 0], None), attend_cpu(*tensors, [9], None))  # type: ignore[arg-type]


# Gradients and dropout


def leaves(lengths: list[int], kind: str, heads: int = 2, head_dim: int = 64) -> list[Tensor]:
    """Query, key and value, and table and gate where there is a bias, all with gradients."""
    bias = bias_of(kind, lengths, heads, beyond=3)
    parts = [bias.table, bias.gate] if isinstance(bias, RelativeBias) else []
    tensors = packed_heads(lengths, heads, head_dim, behind=5)
    return [x.detach().requires_grad_() for x in (*tensors, *parts)]


def bias_from(tensors: list[Tensor]) -> RelativeBias | None:
    return RelativeBias(*tensors[3:]) if len(tensors) > 3 else None


@needs_kernel
@quick
@given(
    st.lists(st.one_of(st.integers(1, 70), st.sampled_from([95, 96, 97, 300])), min_size=1, max_size=3),
    st.integers(1, 3),
    st.sampled_from([1, 7, 16, 64, 80]),
    st.sampled_from(["none", "table"]),
)
def test_gradients_equal_those_of_the_formula(lengths: list[int], heads: int, head_dim: int, kind: str) -> None:
    tensors = leaves(lengths, kind, heads, head_dim)
    exact = [x.detach().double().requires_grad_() for x in tensors]
    ours = attend_cpu(*tensors[:3], lengths, bias_from(tensors))
    assert ours is not None
    slope = torch.randn_like(ours)
    expected = attend_reference(*exact[:3], lengths, bias_from(exact))
    for found, wanted in zip(
        torch.autograd.grad(ours, tensors, slope), torch.autograd.grad(expected, exact, slope.double()), strict=True
    ):
        assert (found - wanted).norm() < 1e-5 * wanted.norm() + 1e-4  # a clip of one frame has no gradient of keys


@needs_kernel
@pytest.mark.parametrize("kind", ["none", "table"])
def test_dropped_weights_have_no_gradient_either(kind: str) -> None:
    """Values of one row each show the weights; the formula with the dropped ones set to zero has the same gradients."""
    lengths, rate = [40, 64], 0.3
    tensors = leaves(lengths, kind)
    query, key, value = tensors[:3]
    torch.manual_seed(3)
    mixed = attend_cpu(query, key, value, lengths, bias_from(tensors), dropout=rate)
    assert mixed is not None
    one_hot = torch.cat([torch.eye(64)[:length] for length in lengths])[:, None].expand_as(value)
    torch.manual_seed(3)
    weights = attend_cpu(query, key, one_hot, lengths, bias_from(tensors), dropout=rate)  # (total, heads, keys)
    plain = attend_reference(query, key, one_hot, lengths, bias_from(tensors))
    assert weights is not None
    factors = weights.detach().div(plain.detach()).nan_to_num(0).round(decimals=3)  # of frames beyond a clip: 0
    torch.testing.assert_close(factors.unique(), torch.tensor([0, 1 / (1 - rate)]), rtol=0, atol=1e-3)
    assert abs((factors[40:] > 0).double().mean() - (1 - rate)) < 0.02
    expected, start = [], 0
    for length in lengths:
        own = slice(start, start + length)
        shown = (plain * factors / factors.max() / (1 - rate))[own, :, :length]  # (length, heads, keys)
        expected.append(torch.einsum("ihj,jhd->ihd", shown, value[own]))
        start += length
    slope = torch.randn_like(mixed)
    torch.testing.assert_close(mixed, torch.cat(expected), rtol=1e-4, atol=1e-4)
    for found, wanted in zip(
        torch.autograd.grad(mixed, tensors, slope),
        torch.autograd.grad(torch.cat(expected), tensors, slope),
        strict=True,
    ):
        assert (found - wanted).norm() < 1e-4 * wanted.norm()


@needs_kernel
def test_gradients_do_not_depend_on_threads_or_batch_mates() -> None:
    lengths = [77, 1, 300]
    tensors = leaves(lengths, "table")
    slope = torch.randn_like(tensors[0])

    def gradients(own: slice, clips: list[int]) -> list[Tensor]:
        query, key, value, table, gate = tensors
        given = [query[own], key[own], value[own], table, gate[own]]
        ours = attend_cpu(*given[:3], clips, RelativeBias(*given[3:]))
        assert ours is not None
        return list(torch.autograd.grad(ours, given, slope[own]))

    together = gradients(slice(None), lengths)
    alone = gradients(slice(78, 378), [300])
    for number in (0, 1, 2, 4):
        assert torch.equal(together[number][78:], alone[number])
    torch.set_num_threads(2)
    assert all(map(torch.equal, gradients(slice(None), lengths), together))


@needs_kernel
def test_nothing_of_frames_by_frames_is_kept() -> None:
    kept: list[int] = []
    tensors = leaves([1000], "table", heads=1, head_dim=8)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        mixed = attend(*tensors[:3], [1000], bias_from(tensors), dropout=0.1)
    assert sum(kept) < 100 * 1000
    (gradient,) = torch.autograd.grad(mixed.square().sum(), tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@needs_kernel
def test_autocast_has_gradients_in_float32() -> None:
    """Queries in bfloat16 and a bias in float32, as autocast makes them."""
    tensors = leaves([50], "table")
    halves = [x.detach().bfloat16().requires_grad_() for x in tensors[:3]]
    ours = attend_cpu(*halves, [50], bias_from(tensors))
    assert ours is not None
    assert ours.dtype == torch.bfloat16
    exact = [x.detach().double().requires_grad_() for x in (*halves, *tensors[3:])]
    expected = attend_reference(*exact[:3], [50], bias_from(exact))
    given = [*halves, *tensors[3:]]
    for found, wanted in zip(
        torch.autograd.grad(ours.double().sum(), given), torch.autograd.grad(expected.sum(), exact), strict=True
    ):
        assert found.dtype in {torch.bfloat16, torch.float32}
        assert (found - wanted).norm() < 1e-2 * wanted.norm() + 1e-2


# The dispatch of `attend`


@pytest.fixture
def refuse_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "attend_cpu", lambda *_: pytest.fail("the kernel was called"))


@pytest.mark.parametrize("kind", ["none", "table", "keys"])
def test_without_the_kernel_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [50, 7, 7]
    tensors, bias = packed_heads(lengths), bias_of(kind, lengths)
    by_kernel = attend(*tensors, lengths, bias)
    monkeypatch.setenv("SONANT_KERNELS", "0")
    assert attend_cpu(*tensors, lengths, bias) is None
    torch.testing.assert_close(attend(*tensors, lengths, bias), by_kernel, rtol=1e-5, atol=1e-5)


@needs_kernel
def test_the_kernel_is_used_where_no_gradient_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "attend_by_torch", lambda *_, **__: pytest.fail("the plain way was taken"))
    tensors = packed_heads([9])
    attend(*tensors, [9])
    with torch.inference_mode():
        attend(*tensors, [9], bias_of("table", [9]))


@pytest.mark.usefixtures("refuse_the_kernel")
def test_what_records_operations_sees_them() -> None:
    tensors = packed_heads([9])
    expected = attend_by_torch(*tensors, [9])

    class Attend(torch.nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return attend(query, key, value, [9])

    with FlopCounterMode(display=False):
        attend(*tensors, [9])
    exported = torch.export.export(Attend(), tuple(tensors)).module()
    torch.testing.assert_close(exported(*tensors), expected)
    with torch.no_grad():
        exported = torch.export.export(Attend(), tuple(tensors), strict=True).module()
    torch.testing.assert_close(exported(*tensors), expected)
