"""`attend` equals its reference, forward and backward, in blocks or not."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sonant.layers import attention
from sonant.layers.attention import Bias, SelfAttention, attend, attend_by_torch, attend_reference, kernel_for
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias, RelativeProductBias
from sonant.layers.positions import PositionGate

quick = settings(max_examples=25, deadline=None, derandomize=True)
# Repeats and neighbors of one length are computed together: make them likely.
clip_lengths = st.lists(st.one_of(st.integers(1, 40), st.sampled_from([5, 9])), min_size=1, max_size=6)


KINDS = ("none", "gated", "keys", "products")
each_kind = pytest.mark.parametrize("kind", KINDS)
kinds = st.sampled_from(KINDS)


def inputs(
    lengths: list[int], heads: int, head_dim: int, *, kind: str, beyond: int = 0, gradients: bool = False
) -> tuple[list[Tensor], Bias | None]:
    """Query, key and value with peaky logits, and a bias.

    The table of the gated one reaches `beyond` the longest clip, the relative keys so many frames back.
    """
    torch.manual_seed(sum(lengths) + heads)
    total = sum(lengths)
    tensors = [torch.randn(total, heads, head_dim) * scale for scale in (3, 1, 1)]
    match kind:
        case "gated":
            tensors += [torch.randn(heads, 2 * (max(lengths) + beyond) - 1) * 2, torch.rand(total, heads) * 2 + 1]
        case "keys":
            tensors += [torch.randn(total, heads, 7 * beyond + 4) * 2]
        case "products":
            reach = max(lengths) + beyond
            tensors += [torch.randn(total, heads, head_dim), torch.randn(2 * reach - 1, heads, head_dim)]
    tensors = [tensor.requires_grad_(gradients) for tensor in tensors]
    match kind:
        case "gated":
            return tensors, RelativeBias(*tensors[3:])
        case "keys":
            return tensors, RelativeKeyBias(tensors[3], 7 * beyond)
        case "products":
            return tensors, RelativeProductBias(*tensors[3:])
    return tensors, None


@quick
@given(clip_lengths, st.integers(1, 4), st.sampled_from([1, 3, 8]), kinds, st.integers(0, 3))
def test_equals_the_reference(lengths: list[int], heads: int, head_dim: int, kind: str, beyond: int) -> None:
    tensors, bias = inputs(lengths, heads, head_dim, kind=kind, beyond=beyond)
    with torch.no_grad():
        expected = attend_reference(*tensors[:3], lengths, bias)
        for function in (attend, attend_by_torch):
            torch.testing.assert_close(function(*tensors[:3], lengths, bias), expected, rtol=1e-4, atol=1e-5)


@quick
@given(clip_lengths, st.integers(1, 3), kinds, st.integers(0, 2))
def test_gradients_equal_those_of_the_reference(lengths: list[int], heads: int, kind: str, beyond: int) -> None:
    tensors, bias = inputs(lengths, heads, 4, kind=kind, beyond=beyond, gradients=True)
    weights = torch.randn(sum(lengths), heads, 4)
    ours, expected = (
        torch.autograd.grad((function(*tensors[:3], lengths, bias) * weights).sum(), tensors)
        for function in (attend, attend_reference)
    )
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@each_kind
@pytest.mark.parametrize("gradients", [False, True])
def test_clips_without_a_frame_are_passed_over(kind: str, *, gradients: bool) -> None:
    tensors, bias = inputs([3, 4], 2, 8, kind=kind, gradients=gradients)
    expected = attend_reference(*tensors[:3], [3, 4], bias)
    for function in (attend, attend_by_torch):
        torch.testing.assert_close(function(*tensors[:3], [0, 3, 0, 0, 4, 0], bias), expected)
        for lengths in ([], [0], [0, 0]):
            assert function(*(x[:0] for x in tensors[:3]), lengths, bias).shape == (0, 2, 8)


@each_kind
@pytest.mark.parametrize("way", ["no gradient", "gradient", "autocast"])
def test_logits_of_bfloat16_are_not_rounded(kind: str, way: str) -> None:
    """With logits of about 100, rounding them to bfloat16 moves weights by a tenth and more."""
    tensors, bias = inputs([60], 2, 80, kind=kind)  # 80 ** -0.5 is no number of bfloat16
    tensors[0] *= 10
    tensors[:3] = (x.bfloat16() for x in tensors[:3])
    expected = attend_reference(*(x.double() for x in tensors[:3]), [60], _double(bias))
    tensors[0].requires_grad_(way != "no gradient")
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        result = attend_by_torch(*tensors[:3], [60], bias)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), expected, rtol=0.02, atol=0.02)


def _double(bias: Bias | None) -> Bias | None:
    return bias and type(bias)(*(x.double() if isinstance(x, Tensor) else x for x in vars(bias).values()))


@pytest.mark.parametrize("kind", ["gated", "keys"])
@pytest.mark.parametrize("logits", [1, 7, 100, 1000])
def test_blocks_change_nothing(logits: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [1, 9, 9, 9, 33, 2, 17]
    tensors, bias = inputs(lengths, 3, 8, kind=kind, beyond=1)
    with torch.no_grad():
        whole = attend_by_torch(*tensors[:3], lengths, bias)
        monkeypatch.setitem(attention.BLOCK_LOGITS, "cpu", logits)
        torch.testing.assert_close(attend_by_torch(*tensors[:3], lengths, bias), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["gated", "keys"])
def test_no_block_is_larger_than_promised(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory grows with the length: the logits at hand are never more than a block, or one row where that is more."""
    lengths, heads = [50, 50, 7, 120], 2
    tensors, bias = inputs(lengths, heads, 4, kind=kind)
    monkeypatch.setitem(attention.BLOCK_LOGITS, "cpu", 1000)
    sizes = []
    attention_to = F.scaled_dot_product_attention

    def spy(query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor, scale: float) -> Tensor:
        sizes.append(attn_mask.numel())
        return attention_to(query, key, value, attn_mask=attn_mask, scale=scale)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    with torch.no_grad():
        attend_by_torch(*tensors[:3], lengths, bias)
    assert sum(sizes) == heads * sum(length**2 for length in lengths)
    assert max(sizes) <= 1000


@each_kind
@pytest.mark.parametrize("function", [attend, attend_by_torch])
def test_nan_stays_in_its_clip(function: Callable[..., Tensor], kind: str) -> None:
    lengths = [4, 4, 6]
    tensors, bias = inputs(lengths, 2, 4, kind=kind)
    with torch.no_grad():
        for tensor in tensors[:3]:
            tensor[4:8] = float("nan")
        mixed = function(*tensors[:3], lengths, bias)
    assert mixed[4:8].isnan().all()
    assert mixed[:4].isfinite().all()
    assert mixed[8:].isfinite().all()


def test_a_single_frame_attends_to_itself() -> None:
    tensors, bias = inputs([1, 1], 2, 4, kind="gated")
    torch.testing.assert_close(attend(*tensors[:3], [1, 1], bias), tensors[2])


def test_bias_alone_decides_where_contents_do_not() -> None:
    """With no query, a bias of +1000 one frame ahead copies the next frame."""
    value = torch.randn(5, 1, 3)
    table = torch.zeros(1, 9)
    table[0, 4 + 1] = 1000
    mixed = attend(torch.zeros(5, 1, 3), torch.randn(5, 1, 3), value, [5], RelativeBias(table, torch.ones(5, 1)))
    torch.testing.assert_close(mixed[:4], value[1:])
    torch.testing.assert_close(mixed[4], value.mean(0))


@each_kind
def test_dropout_drops_weights_and_keeps_the_mean(kind: str) -> None:
    tensors, bias = inputs([30], 2, 4, kind=kind)
    torch.manual_seed(0)
    expected = attend(*tensors[:3], [30], bias)
    draws = torch.stack([attend(*tensors[:3], [30], bias, dropout=0.3) for _ in range(1000)])
    assert not torch.equal(draws[0], draws[1])
    torch.testing.assert_close(draws.mean(0), expected, rtol=0, atol=0.15)


def test_dropout_belongs_to_training() -> None:
    layer = SelfAttention(8, 2, gate=PositionGate(8, 2), dropout=0.5)
    frames, table = torch.randn(6, 8), torch.randn(2, 11)
    assert not torch.equal(layer(frames, [6], table), layer(frames, [6], table))
    layer.eval()
    assert torch.equal(layer(frames, [6], table), layer(frames, [6], table))


def test_the_kernel_is_chosen_by_what_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    (query, *_), _ = inputs([4], 2, 8, kind="gated")

    def choices() -> list[str]:
        """Plain, with dropout, and where operations are counted."""
        plain, dropping = (kernel_for(query, dropout=dropout) for dropout in (0.0, 0.1))
        with FlopCounterMode(display=False):
            return [plain, dropping, kernel_for(query, dropout=0.0)]

    assert choices() == ["cpu", "cpu", "torch"]
    monkeypatch.setattr(attention.flex_attention, "available", lambda _: True)
    assert choices() == ["flex", "cpu", "torch"]
    monkeypatch.setattr(attention.triton_attention, "available", lambda _: True)
    assert choices() == ["triton", "triton", "torch"]
