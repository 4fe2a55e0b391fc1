"""Attention over packed clips through PyTorch's FlexAttention: any bias that can be written as a formula.

Compiled where it runs on an accelerator. On a CPU it runs as written, which spells out every logit: for tests. The
plain function that it must equal is `attend_reference`.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias

BLOCK = 128  # rows and columns of what is computed or left out together
DTYPES = (torch.float16, torch.bfloat16, torch.float32)

# logit, batch, head, query, key: the logit with what positions add to it
ScoreModifier = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def available(query: Tensor) -> bool:
    """Return whether this is fast for such queries (total, heads, head_dim): where PyTorch can compile for a GPU."""
    return query.device.type in {"cuda", "xpu"} and query.dtype in DTYPES and find_spec("triton") is not None


def attend_flex(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    bias: RelativeBias | RelativeKeyBias | None = None,
) -> Tensor:
    """Compute `attend` without dropout; on an accelerator gradients reach every argument."""
    from torch.nn.attention.flex_attention import flex_attention

    attention: Any = flex_attention if query.device.type == "cpu" else _compiled()
    one = (x.transpose(0, 1)[None] for x in (query, key, value))  # (1, heads, total, head_dim)
    mixed = attention(*one, score_mod=_modifier(bias), block_mask=clip_mask(tuple(lengths), query.device))
    return mixed[0].transpose(0, 1)


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention)


def _modifier(bias: RelativeBias | RelativeKeyBias | None) -> ScoreModifier | None:
    """The bias as a formula. Blocks at the ends of clips are computed whole, hence the clamps."""
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
    """FlexAttention's `BlockMask` under which frames see those of their own clip.

    Made from the lengths; PyTorch's own way asks about every pair of frames.
    """
    from torch.nn.attention.flex_attention import BlockMask

    with torch.inference_mode(False):  # it outlives the mode that it is made in
        sizes = torch.tensor(lengths)
        ends = sizes.cumsum(0)
        clip = torch.arange(len(lengths)).repeat_interleave(sizes)  # (total,)
        first = torch.arange(0, len(clip), BLOCK)  # (blocks,), the first frame of each
        last = (first + BLOCK).clamp(max=len(clip)) - 1
        from_, to = (ends - sizes)[clip[first]], ends[clip[last]]  # the frames that a block of queries sees
        some = (first[None, :] < to[:, None]) & (last[None, :] >= from_[:, None])  # (blocks, blocks)
        alone = clip[first] == clip[last]
        whole = (alone[:, None] & (first[None, :] >= from_[:, None]) & (last[None, :] < to[:, None])) & some
        of_some, of_whole = _listed(some & ~whole, device), _listed(whole, device)
        clip = clip.to(device)

        def same_clip(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return clip[query] == clip[key]

        total = len(clip)
        return BlockMask.from_kv_blocks(
            *of_some, *of_whole, BLOCK_SIZE=BLOCK, mask_mod=same_clip, seq_lengths=(total, total)
        )


def _listed(blocks: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return for bool (queries, keys) how many of each row are true, and where; int32, for one batch and head."""
    order = blocks.int().argsort(dim=1, descending=True, stable=True)
    return blocks.sum(1, dtype=torch.int32).to(device)[None, None], order.int().to(device)[None, None]
