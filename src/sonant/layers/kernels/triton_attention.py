"""Attention over packed clips on a GPU, forward and backward, in Triton.

One launch for all clips of any lengths. No matrix of logits is stored, and the position bias is looked up inside the
kernel. Reference: `attend_reference`.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.device import current_device
from sonant.layers.kernels.triton_blocks import ENTRY, block_table, block_table_of_offsets, check_reach, serves

MAX_HEAD_DIM = 128
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Tiling:
    """The tile sizes of one kernel.

    Attributes:
        block: rows of a program.
        step: rows of the other operand that are processed at a time.
        warps, stages: of Triton; stages are steps that are loaded ahead.
        precision: of float32 products: "ieee", or "tf32x3" on matrix units.
        peeled: steps that lie wholly within the clip run in a loop without masks.
    """

    block: int
    step: int
    warps: int
    stages: int
    precision: str = "ieee"
    peeled: bool = False


# For half precision: shapes of the matrix units, such that all values fit into registers and three programs run on a
# multiprocessor. Float32 products are exact and use no matrix units: small tiles, many warps, and no second loop, which
# would make registers spill.
HALF = {
    "forward": Tiling(64, 64, 4, 2, peeled=True),
    "query_gradient": Tiling(64, 32, 4, 2, peeled=True),
    "key_gradient": Tiling(64, 32, 4, 2, peeled=True),
    "table_gradient": Tiling(64, 64, 4, 1),
}
FULL = {name: Tiling(32, 32, 8, 1) for name in HALF}
TABLE_PROGRAMS = 2048  # of the gradient to the table; at least one for each diagonal and head


def available(query: Tensor) -> bool:
    """Return whether these kernels support such queries (total, heads, head_dim)."""
    return query.is_cuda and query.dtype in DTYPES and query.shape[-1] <= MAX_HEAD_DIM and serves(query.device)


def attend_triton(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int] | Tensor,
    bias: RelativeBias | RelativeKeyBias | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """Compute `attend`, from lengths or offsets; gradients reach query, key, value and both parts of the bias.

    Deterministic to the bit: no atomic additions.
    """
    values_per_row, total = query.stride(0), len(query)
    longest = total if isinstance(lengths, Tensor) else max(lengths)  # of offsets, the device alone knows it
    match bias:
        case RelativeBias(table=table):
            fill = ENTRY if isinstance(lengths, Tensor) else longest + ENTRY - (table.shape[1] + 1) // 2
            if fill > 0:
                bias = replace(bias, table=F.pad(table, (fill, fill)))
        case RelativeKeyBias(scores=scores):
            values_per_row = max(values_per_row, scores.shape[1] * scores.shape[2])
    check_reach([longest], values_per_row)
    if isinstance(lengths, Tensor):
        blocks = block_table_of_offsets(lengths, total)
    else:
        blocks = block_table(tuple(lengths), query.device)
    return attend_blocks(query, key, value, blocks, bias, dropout=dropout)


def attend_blocks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    blocks: Tensor,
    bias: RelativeBias | RelativeKeyBias | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """`attend_triton` with a block table in place of lengths, so that all arguments are tensors.

    Rows outside of all clips are allowed; their results are undefined. The table of a gated bias must reach `ENTRY`
    frames beyond the longest clip, because kernels read beyond the end of a clip.
    """
    gate: Tensor | None = None
    positions: Tensor | None = None
    left = 0
    match bias:
        case RelativeBias():
            gate, positions = bias.gate, bias.table
        case RelativeKeyBias():
            positions, left = bias.scores.float(), bias.left  # in half precision, its layout would determine the loop
    seed = None if dropout == 0 else torch.randint(2**31 - 1, (1,), dtype=torch.int32, device=query.device)
    return packed_attention(query, key, value, blocks, gate, positions, left, seed, dropout)[0]


@torch.library.custom_op("sonant::packed_attention", mutates_args=())
def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    blocks: Tensor,
    gate: Tensor | None,
    positions: Tensor | None,
    left: int,
    seed: Tensor | None,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """Return the output (total, heads, head_dim), and the log-sum-exp (heads, total) of the logits for the gradient.

    Args:
        query, key, value: (total, heads, head_dim).
        blocks: from `block_table`.
        gate: (total, heads) of a gated bias, or None.
        positions: the table of a gated bias (heads, 2 * reach - 1), where reach is the longest clip plus `ENTRY`; the
            scores of a relative key bias (total, heads, distances); or None.
        left: of a relative key bias.
        seed: int32 (1,), of the dropout, or None.
        dropout: probability of dropping an attention weight.
    """
    launcher = _Launcher(query, key, value, blocks, gate, positions, left, seed, dropout)
    out, log_sums = _results(query)
    launcher.launch("forward", out, log_sums)
    return out, log_sums


@packed_attention.register_fake
def _results(query: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    total, heads, _dim = query.shape
    return query.new_empty(query.shape), query.new_empty((heads, total), dtype=torch.float32)


@torch.library.custom_op("sonant::packed_attention_backward", mutates_args=())
def packed_attention_backward(
    out_gradient: Tensor,
    out: Tensor,
    log_sums: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    blocks: Tensor,
    gate: Tensor | None,
    positions: Tensor | None,
    left: int,
    seed: Tensor | None,
    dropout: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients to query, key, value, gate and positions; the last two are empty where the argument is None."""
    launcher = _Launcher(query, key, value, blocks, gate, positions, left, seed, dropout)
    of_query, of_key, of_value, of_gate, of_positions = _gradients(
        out_gradient, out, log_sums, query, key, value, blocks, gate, positions
    )
    dots = torch.empty_like(log_sums)
    out_gradient = out_gradient.contiguous()
    of_scores = of_positions.zero_() if launcher.bias == "keys" else of_positions
    launcher.launch("query_gradient", out, log_sums, out_gradient, of_query, of_gate, of_scores, dots)
    launcher.launch("key_gradient", log_sums, out_gradient, dots, of_key, of_value)
    if launcher.bias == "gated":
        of_positions.zero_()[:, ENTRY:-ENTRY].copy_(launcher.table_gradient(log_sums, out_gradient, dots))
    return of_query, of_key, of_value, of_gate, of_positions


@packed_attention_backward.register_fake
def _gradients(
    _out_gradient: Tensor,
    _out: Tensor,
    _log_sums: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _blocks: Tensor,
    gate: Tensor | None,
    positions: Tensor | None,
    *_: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    like = (query, key, value, *(query.new_empty(0) if part is None else part for part in (gate, positions)))
    of_query, of_key, of_value, of_gate, of_positions = (part.new_empty(part.shape) for part in like)
    return of_query, of_key, of_value, of_gate, of_positions


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, blocks, gate, positions, ctx.left, seed, ctx.dropout = inputs
    ctx.save_for_backward(*output, query, key, value, blocks, gate, positions, seed)


def _backward(ctx: Any, out_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    *parts, gate, positions, seed = ctx.saved_tensors
    of_query, of_key, of_value, of_gate, of_positions = packed_attention_backward(
        out_gradient, *parts, gate, positions, ctx.left, seed, ctx.dropout
    )
    return (
        of_query, of_key, of_value, None, None if gate is None else of_gate,
        None if positions is None else of_positions, None, None, None,
    )  # fmt: skip


packed_attention.register_autograd(_backward, setup_context=_setup_context)


class _Launcher:
    """The arguments that all kernels have in common, in order."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        blocks: Tensor,
        gate: Tensor | None,
        positions: Tensor | None,
        left: int,
        seed: Tensor | None,
        dropout: float,
    ) -> None:
        total, self.heads, dim = query.shape
        if query.stride(2) != 1 or not query.stride() == key.stride() == value.stride():
            query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        gate = None if gate is None else gate.contiguous()
        self.positions = positions = None if positions is None else positions.contiguous()
        self.bias = "none" if positions is None else "keys" if gate is None else "gated"
        self.query, self.blocks = query, blocks
        # Placeholders for missing tensors, which are never read: older versions of Triton do not accept None.
        parts = (query if part is None else part for part in (gate, positions, blocks, seed))
        self.tensors = (query, key, value, *parts)
        self.numbers = (
            query.stride(0),
            query.stride(1),
            total,
            left,
            0 if positions is None else positions.shape[-1],
            dim**-0.5,
            round(dropout * 2**31),
            1 / (1 - dropout),
        )
        self.constants = {
            "DIM": dim,
            "WIDTH": max(16, 1 << (dim - 1).bit_length()),  # matrix units need a power of two
            "BIAS": self.bias,
            "DROPOUT": dropout > 0,
            "ENTRY": ENTRY,
        }
        self.tilings = FULL if query.dtype == torch.float32 else HALF

    def launch(self, name: str, *own: Tensor | int | None, grid: tuple[int, ...] | None = None) -> None:
        """Launch a kernel with its own arguments; the default grid has a program for each block and head."""
        from sonant.layers.kernels import triton_programs

        tiling = self.tilings[name]
        grid = grid or (len(self.blocks) * (ENTRY // tiling.block), self.heads)
        with current_device(self.query.device):
            getattr(triton_programs, name)[grid](
                *self.tensors,
                *own,
                *self.numbers,
                **self.constants,
                PRECISION=tiling.precision,
                PEELED=tiling.peeled,
                BLOCK=tiling.block,
                STEP=tiling.step,
                num_warps=tiling.warps,
                num_stages=tiling.stages,
            )

    def table_gradient(self, log_sums: Tensor, out_gradient: Tensor, dots: Tensor) -> Tensor:
        """Compute the gradient to the table, without the `ENTRY` distances at its ends out of reach; float32."""
        assert self.positions is not None
        block = self.tilings["table_gradient"].block
        reach = (self.positions.shape[1] + 1) // 2 - ENTRY
        blocks, diagonals = len(self.blocks) * (ENTRY // block), 2 * -(-reach // block) - 1
        shares = max(1, min(blocks, TABLE_PROGRAMS // (diagonals * self.heads)))
        sums = log_sums.new_empty(shares, self.heads, diagonals, 2 * block)
        self.launch("table_gradient", log_sums, out_gradient, dots, sums, blocks, grid=(diagonals, self.heads, shares))
        # Distance 0 is element block - 1 of the middle diagonal; consecutive diagonals overlap by half.
        first, second = sums.sum(0).unflatten(2, (2, block)).unbind(2)  # (heads, diagonals, block) each
        line = (F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))).flatten(1)
        middle = (diagonals // 2 + 1) * block - 1
        return line[:, middle - reach + 1 : middle + reach]
