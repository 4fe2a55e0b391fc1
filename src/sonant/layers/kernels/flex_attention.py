"""Attention over packed clips by PyTorch's FlexAttention.

Compiled on an accelerator. On a CPU, for tests, it computes every logit explicitly. Reference: `attend_reference`.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.device import to_device

BLOCK = 128  # rows and columns of the blocks that are computed or skipped
DTYPES = (torch.float16, torch.bfloat16, torch.float32)

# logit, batch, head, query, key: the logit plus position bias
ScoreModifier = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def available(query: Tensor) -> bool:
    """Return whether FlexAttention can be compiled for the device of queries (total, heads, head_dim)."""
    return query.device.type in {"cuda", "xpu"} and query.dtype in DTYPES and find_spec("triton") is not None


def attend_flex(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int] | Tensor,
    bias: RelativeBias | RelativeKeyBias | None = None,
) -> Tensor:
    """Compute `attend` without dropout, from lengths or offsets; on an accelerator gradients reach every argument."""
    from torch.nn.attention.flex_attention import flex_attention

    attention: Any = flex_attention if query.device.type == "cpu" else _compiled()
    one = (x.transpose(0, 1)[None] for x in (query, key, value))  # (1, heads, total, head_dim)
    if isinstance(lengths, Tensor):
        mask = clip_mask_of_offsets(lengths, len(query))
    else:
        mask = clip_mask(tuple(lengths), query.device)
    mixed = attention(*one, score_mod=_modifier(bias), block_mask=mask)
    return mixed[0].transpose(0, 1)


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention)


def _modifier(bias: RelativeBias | RelativeKeyBias | None) -> ScoreModifier | None:
    """Express a bias as a score modifier. Blocks that span the ends of clips are computed whole, hence the clamps."""
    match bias:
        case RelativeBias(table=table, gate=gate):
            reach = (table.shape[1] + 1) // 2

            def gated(score: Tensor, _: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
                return score + gate[query, head] * table[head, (key - query + reach - 1).clamp(0, 2 * reach - 2)]

            return gated
        case RelativeKeyBias(scores=scores, left=left):
            farthest = scores.shape[2] - 1

            def keyed(score: Tensor, _: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
                return score + scores[query, head, (key - query + left).clamp(0, farthest)]

            return keyed
    return None


@lru_cache(maxsize=8)
def clip_mask(lengths: tuple[int, ...], device: torch.device) -> Any:
    """Build the `BlockMask` that restricts attention to the own clip."""
    with torch.inference_mode(False):  # cached beyond the current inference mode
        offsets = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
        return clip_mask_of_offsets(to_device(offsets, device), sum(lengths))


def clip_mask_of_offsets(offsets: Tensor, total: int) -> Any:
    """Build the same from offsets, int64 (clips + 1,), by tensor operations; clips may be empty.

    It is computed from the ends of the clips; `create_block_mask` of PyTorch evaluates every pair of frames.
    """
    from torch.nn.attention.flex_attention import BlockMask

    clip = torch.searchsorted(offsets[1:], torch.arange(total, device=offsets.device), right=True)  # (total,)
    first = torch.arange(0, total, BLOCK, device=offsets.device)  # (blocks,), the first frame of each
    last = (first + BLOCK).clamp(max=total) - 1
    from_, to = offsets[clip[first]], offsets[clip[last] + 1]  # the keys that a block of queries attends to
    some = (first[None, :] < to[:, None]) & (last[None, :] >= from_[:, None])  # (blocks, blocks)
    alone = clip[first] == clip[last]
    whole = (alone[:, None] & (first[None, :] >= from_[:, None]) & (last[None, :] < to[:, None])) & some

    def same_clip(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return clip[query] == clip[key]

    return BlockMask.from_kv_blocks(
        *_listed(some & ~whole), *_listed(whole), BLOCK_SIZE=BLOCK, mask_mod=same_clip, seq_lengths=(total, total)
    )


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number and the positions of the true values in each row of bool (queries, keys), int32."""
    order = blocks.int().argsort(dim=1, descending=True, stable=True)
    return blocks.sum(1, dtype=torch.int32)[None, None], order.int()[None, None]
