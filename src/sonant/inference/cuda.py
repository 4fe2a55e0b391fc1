"""Models readied for a GPU: products in half precision, sums, norms and softmax in float32, few and large kernels."""

from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.attention import gate_columns
from sonant.inference.cuda_extractor import CudaExtractor
from sonant.inference.precision import Precision
from sonant.inference.recording import Recordings
from sonant.inference.shared_copy import shared_copy
from sonant.layers.activations import activation
from sonant.layers.attention import Bias, SelfAttention, attend
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.kernels import triton_convolution
from sonant.layers.kernels.triton_attention import MAX_HEAD_DIM, attend_blocks
from sonant.layers.kernels.triton_blocks import ENTRY, block_table, serves
from sonant.layers.kernels.triton_norm import norm_rows
from sonant.layers.packed import Packed, lay_with_gaps
from sonant.layers.positions import ConvPositions, RelativeBias
from sonant.layers.transformer import FeedForward, TransformerEncoder, TransformerLayer
from sonant.models import Backbone, MaskableBackbone
from sonant.models.maskable import FeatureProjection

ROWS = 1 << 14  # of a feed-forward block at a time: the widest tensor of a model stays a quarter of a gigabyte
ALIGNMENT = 16  # columns of a product: so its rows and parts begin where a kernel can load them whole
FEW_FRAMES = 4096  # up to 80 s launching kernels takes longer than running them: they are recorded
BUCKET = 256  # frames that a recorded size is a multiple of
MAX_RECORDINGS = 16  # of one model; the one unused for longest goes first
SPARE_ENTRIES = 32  # of a recording's block table, beyond those that its frames fill: clips end where they end


@torch.no_grad()
def prepare_cuda(backbone: Backbone, precision: Precision, device: torch.device | None = None) -> Backbone:
    """A copy of a model for inference on a GPU, that it lies on or another; `sonant.inference.prepare` says more.

    Where a family has no block of its own here, it is the plain model in that precision.
    """
    dtype = getattr(torch, precision)
    if not isinstance(backbone, MaskableBackbone):
        return shared_copy(backbone, dtype, device)
    prepared = shared_copy(backbone, torch.float32, device)
    _replace_blocks(prepared, dtype)
    return prepared


def _replace_blocks(module: nn.Module, dtype: torch.dtype) -> None:
    for name, child in module.named_children():
        block = _prepared(child, dtype)
        if block is None:
            _replace_blocks(child, dtype)
        else:
            setattr(module, name, block)


def _prepared(block: nn.Module, dtype: torch.dtype) -> nn.Module | None:  # noqa: PLR0911  one line for each kind
    match block:
        case TransformerLayer():
            return CudaTransformerLayer(block, dtype)
        case SelfAttention():
            return CudaSelfAttention(block, dtype)
        case FeedForward():
            return CudaFeedForward(block, dtype)
        case ConvExtractor() if block.norm != "clip":
            return CudaExtractor(block, dtype)
        case ConvPositions():
            return CudaConvPositions(block, dtype)
        case TransformerEncoder():
            _replace_blocks(block, dtype)
            return RecordedEncoder(block)
        case FeatureProjection():
            linear = CudaLinear(block.linear.weight, block.linear.bias, dtype)
            block.norm, block.linear = WideNorm(block.norm), Widened(linear)  # type: ignore[assignment]
            return block
        case nn.LayerNorm():
            return WideNorm(block)
        case nn.Linear():
            return CudaLinear(block.weight, block.bias, dtype)
        case nn.Conv1d() if type(block) is nn.Conv1d:  # not those that do more
            return CudaConv(block, dtype)
    return None


class CudaLinear(nn.Module):
    """A linear map in some precision, whatever comes in."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) to (rows, out)."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class CudaConv(nn.Module):
    """A convolution in some precision, whatever comes in."""

    def __init__(self, conv: nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.groups = conv.kernel_size, conv.stride, conv.groups
        self.padding = conv.padding
        self.weight = conv.weight.detach().to(dtype)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(1, in, steps) to (1, out, fewer steps)."""
        x = x.to(self.weight.dtype)
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)


class WideNorm(nn.Module):
    """A layer norm in float32."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight.detach().float(), norm.bias.detach().float(), norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """(rows, dim) to the same."""
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.eps)


class CudaFeedForward(nn.Module):
    """`FeedForward` without dropout, so many rows at a time."""

    def __init__(self, block: FeedForward, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.outer = (CudaLinear(part.weight, part.bias, dtype) for part in (block.inner, block.outer))
        self.activation = activation(block.activation)

    def forward(self, frames: Tensor) -> Tensor:
        """(total, dim) to (total, dim)."""
        blocks = [self.outer(self.activation(self.inner(rows))) for rows in frames.split(ROWS)]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


class CudaSelfAttention(nn.Module):
    """`SelfAttention` without a gradient: one product gives queries, keys, values and WavLM's gate."""

    def __init__(self, attention: SelfAttention, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_heads, self.relative_keys = attention.num_heads, attention.relative_keys
        self.gate_scale = None if attention.gate is None else attention.gate.scale.detach().float()
        parts = [attention.query, attention.key, attention.value]
        weights: list[Tensor] = [part.weight for part in parts]
        biases: list[Tensor] = [part.bias for part in parts]
        if attention.gate is not None:
            weight, bias = gate_columns(attention.gate)
            fill = -len(weight) % ALIGNMENT
            weights, biases = [*weights, F.pad(weight, (0, 0, 0, fill))], [*biases, F.pad(bias, (0, fill))]
        self.widths = [len(weight) for weight in weights]
        self.input = CudaLinear(torch.cat(weights), torch.cat(biases), dtype)
        self.output = CudaLinear(attention.output.weight, attention.output.bias, dtype)

    def forward(self, frames: Tensor, clips: list[int] | Tensor, table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim).

        `clips`: their lengths, or their block table; `table`: as for `SelfAttention`.
        """
        query, key, value, *gates = self.input(frames).split(self.widths, dim=1)
        q, k, v = (part.unflatten(1, (self.num_heads, -1)) for part in (query, key, value))
        bias: Bias | None = None
        if self.relative_keys is not None:
            bias = self.relative_keys.bias(q)
        elif self.gate_scale is not None and table is not None:
            both = gates[0][:, : 2 * self.num_heads].float().sigmoid()
            update, reset = both.unflatten(1, (2, self.num_heads)).unbind(1)
            bias = RelativeBias(table, update * (reset * self.gate_scale - 1) + 2)
        mixed = attend_blocks(q, k, v, clips, bias) if isinstance(clips, Tensor) else attend(q, k, v, clips, bias)
        return self.output(mixed.flatten(1))


class CudaTransformerLayer(nn.Module):
    """`TransformerLayer` without dropout; the sum and the norm that follows it are one pass."""

    def __init__(self, layer: TransformerLayer, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.pre_norm = dtype, layer.pre_norm
        self.attention = CudaSelfAttention(layer.attention, dtype)
        self.feed_forward = CudaFeedForward(layer.feed_forward, dtype)
        self.attention_norm, self.feed_forward_norm = WideNorm(layer.attention_norm), WideNorm(layer.feed_forward_norm)

    def forward(self, frames: Tensor, clips: list[int] | Tensor, table: Tensor | None) -> Tensor:
        """(total, dim) to the same, float32; the arguments are those of `CudaSelfAttention`."""
        before, between, dtype = self.attention_norm, self.feed_forward_norm, self.dtype
        if self.pre_norm:
            narrow, _ = norm_rows(frames, before.weight, before.bias, before.eps, dtype)
            mixed = self.attention(narrow, clips, table)
            narrow, total = norm_rows(frames, between.weight, between.bias, between.eps, dtype, added=mixed, kept="sum")
            assert total is not None
            return total + self.feed_forward(narrow)
        mixed = self.attention(frames, clips, table)
        narrow, wide = norm_rows(frames, before.weight, before.bias, before.eps, dtype, added=mixed, kept="norm")
        assert wide is not None  # as it was to be kept
        made = self.feed_forward(narrow)
        _, wide = norm_rows(wide, between.weight, between.bias, between.eps, dtype, added=made, kept="norm")
        assert wide is not None
        return wide


class CudaConvPositions(nn.Module):
    """`ConvPositions` with the weight norm folded into the weights."""

    def __init__(self, positions: ConvPositions, dtype: torch.dtype) -> None:
        super().__init__()
        self.kernel, self.groups = positions.kernel, positions.groups
        self.weight, self.bias = positions.weight.detach().to(dtype), positions.bias.detach().to(dtype)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        before = self.kernel // 2
        half = frames.with_values(frames.values.to(self.weight.dtype))
        if triton_convolution.available(half.values, half.values.dtype, self.weight.shape[1]):
            return F.gelu(triton_convolution.convolve(half.values, self.weight, self.bias, frames.sizes))
        stream, steps = lay_with_gaps(half, before, self.kernel - 1 - before)
        moved = F.conv1d(stream.T[None], self.weight, self.bias, groups=self.groups)[0].T  # (steps, dim)
        return F.gelu(moved.index_select(0, steps - before))


class Widened(nn.Module):
    """A module whose result becomes float32: the residual sum begins here."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).float()


class RecordedEncoder(nn.Module):
    """A Transformer encoder whose layers, for little speech, are launched all at once.

    Their kernels are recorded once for a size, and replayed for whatever clips fill it: frames are filled up to the
    size by a clip of zeros, and which rows are a clip is data of the kernels. No clip's states change by that.
    """

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder, self.recordings = encoder, Recordings(MAX_RECORDINGS)
        self._tables: dict[int, Tensor] = {}
        attention: Any = encoder.layers[0].attention
        self.head_dim: int = attention.output.in_features // attention.num_heads

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """As that of `TransformerEncoder`."""
        numbers, total = sorted(keep), len(frames.values)

        def through(x: Tensor, clips: list[int] | Tensor, table: Tensor | None = None) -> list[Tensor]:
            kept, output = self.encoder.through_layers(x, clips, table, numbers, last=last)
            return [kept[number] for number in numbers] + ([] if output is None else [output])

        x, sizes, few = self.encoder.before_layers(frames), frames.sizes, total <= FEW_FRAMES
        if few and (fill := -total % BUCKET):
            x, sizes = F.pad(x, (0, 0, 0, fill)), [*sizes, fill]
        table = self._table(len(x) if few else max(sizes), keep=few)
        blocks = _block_table(sizes, x) if few and recordable(x, self.head_dim) else None
        if blocks is None:
            states = through(x, sizes, *table)
        else:
            key = (len(x), *numbers, last)
            states = self.recordings.run(key, lambda inputs: through(*inputs), [x, blocks, *table])
        states = [state[:total] for state in states]
        return dict(zip(numbers, states, strict=False)), states[-1] if last else None

    def _table(self, reach: int, *, keep: bool) -> list[Tensor]:
        """The position bias of each head (heads, 2 * reach - 1), if there is one; that of a recorded size is kept."""
        positions = self.encoder.relative_positions
        if positions is None:
            return []
        if reach in self._tables:
            return [self._tables[reach]]
        table = positions.table(reach).contiguous()
        if keep:
            self._tables[reach] = table
        return [table]


def recordable(x: Tensor, head_dim: int) -> bool:
    """Whether attention over frames there is a kernel that a block table steers, and nobody else records it."""
    return serves(x.device) and head_dim <= MAX_HEAD_DIM and not torch.cuda.is_current_stream_capturing()


def _block_table(lengths: list[int], x: Tensor) -> Tensor | None:
    """That of the clips, of a size that depends on x alone; None where they are too many for it."""
    blocks, entries = block_table(tuple(lengths), x.device), len(x) // ENTRY + SPARE_ENTRIES
    return None if len(blocks) > entries else F.pad(blocks, (0, 0, 0, entries - len(blocks)))
