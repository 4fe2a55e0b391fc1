"""FlexAttention equals the reference; its mask of blocks is that of the clips."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from sonant.layers.attention import Bias, attend_reference
from sonant.layers.kernels import flex_attention as kernel
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.flex_attention import BLOCK, attend_flex, clip_mask

CPU = torch.device("cpu")
KINDS = ("none", "gated", "keys")
each_kind = pytest.mark.parametrize("kind", KINDS)
ACROSS = [7, BLOCK + 30, 1, 2 * BLOCK, 40]
uncompiled = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def inputs(lengths: list[int], kind: str, beyond: int) -> tuple[list[Tensor], Bias | None]:
    torch.manual_seed(sum(lengths))
    total = sum(lengths)
    parts = [torch.randn(total, 2, 16) * scale for scale in (3, 1, 1)]
    match kind:
        case "gated":
            return parts, RelativeBias(torch.randn(2, 2 * (max(lengths) + beyond) - 1), torch.rand(total, 2) + 1)
        case "keys":
            return parts, RelativeKeyBias(torch.randn(total, 2, 7 * beyond + 4), 7 * beyond)
    return parts, None


@uncompiled
@each_kind
@pytest.mark.parametrize("beyond", [0, 3])
@pytest.mark.parametrize("lengths", [[1], [5, 40, 9], ACROSS], ids=str)
def test_equals_the_reference(lengths: list[int], beyond: int, kind: str) -> None:
    parts, bias = inputs(lengths, kind, beyond)
    torch.testing.assert_close(attend_flex(*parts, lengths, bias), attend_reference(*parts, lengths, bias))


@uncompiled
@each_kind
def test_offsets_give_what_lengths_give(kind: str) -> None:
    parts, bias = inputs(ACROSS, kind, 0)
    offsets = F.pad(torch.tensor([0, *ACROSS, 0, 0]).cumsum(0), (1, 0))
    assert torch.equal(attend_flex(*parts, offsets, bias), attend_flex(*parts, ACROSS, bias))


@pytest.mark.parametrize(
    "lengths", [[1], [BLOCK], [BLOCK, 2 * BLOCK, BLOCK], [5, 40, 9], ACROSS, [1000, 3], [3, 1000]], ids=str
)
def test_the_blocks_are_those_that_hold_a_pair_of_one_clip(lengths: list[int]) -> None:
    """Those of nothing but such pairs are told apart: there, nothing is asked frame by frame."""
    mask = clip_mask(tuple(lengths), CPU)
    clip = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    blocks = -(-len(clip) // BLOCK)
    same = clip[:, None] == clip[None, :]
    missing = torch.zeros(blocks * BLOCK, blocks * BLOCK, dtype=torch.bool)
    missing[: len(clip), : len(clip)] = ~same
    present = missing.new_zeros(missing.shape)
    present[: len(clip), : len(clip)] = same

    def any_in_block(pairs: Tensor) -> Tensor:
        return pairs.unflatten(0, (blocks, BLOCK)).unflatten(2, (blocks, BLOCK)).any(3).any(1)

    assert torch.equal(mask.to_dense()[0, 0].bool(), any_in_block(present))
    whole = torch.zeros(blocks, blocks, dtype=torch.bool)
    for row, (count, order) in enumerate(
        zip(mask.full_kv_num_blocks[0, 0].tolist(), mask.full_kv_indices[0, 0].tolist(), strict=True)
    ):
        whole[row, order[:count]] = True
    assert torch.equal(whole, any_in_block(present) & ~any_in_block(missing))


@pytest.mark.slow
def test_compiled_equals_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the blocks left out that hold no pair."""
    monkeypatch.setattr(torch.nn.attention.flex_attention, "flex_attention", torch.compile(flex_attention))
    parts, bias = inputs(ACROSS, "gated", 1)
    with torch.no_grad():
        ours = kernel.attend_flex(*parts, ACROSS, bias)
    torch.testing.assert_close(ours, attend_reference(*parts, ACROSS, bias), rtol=1e-4, atol=1e-5)
