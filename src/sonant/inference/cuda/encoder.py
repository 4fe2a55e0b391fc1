"""A Transformer encoder for a GPU, whose layers are captured in CUDA graphs for short inputs."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cuda.graphs import GraphCache
from sonant.layers.kernels.device import current_device
from sonant.layers.kernels.triton_attention import MAX_HEAD_DIM
from sonant.layers.kernels.triton_blocks import ENTRY, block_table, serves
from sonant.layers.packed import Packed
from sonant.layers.transformer import TransformerEncoder

FEW_FRAMES = 4096  # up to 80 s launching kernels takes longer than running them: they are captured
BUCKET = 256  # frames that a captured size is a multiple of
MAX_GRAPHS = 16  # of one model; the one unused for longest goes first
SPARE_ENTRIES = 32  # of a graph's block table, beyond those that its frames fill: clips end where they end


class GraphedEncoder(nn.Module):
    """A Transformer encoder whose layers are one launch for up to `FEW_FRAMES` frames.

    A CUDA graph is captured once for a number of frames, and replayed for any clips that fill it: frames are filled up
    to a multiple of `BUCKET` by a clip of zeros, and the block table, which says which rows are a clip, is an input of
    the graph. The states of the clips do not change.
    """

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder, self.graphs = encoder, GraphCache(MAX_GRAPHS)
        self._tables: dict[int, Tensor] = {}
        attention = encoder.layers[0].attention
        assert isinstance(attention, FusedSelfAttention)
        self.head_dim = attention.head_dim

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the encoder."""
        return self.encoder.layers

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Encode frames; arguments and results are those of `TransformerEncoder`."""
        numbers, total = sorted(keep), len(frames.values)

        def through(x: Tensor, clips: list[int] | Tensor, table: Tensor | None = None) -> list[Tensor]:
            kept, output = self.encoder.through_layers(x, clips, table, numbers, last=last)
            return [kept[number] for number in numbers] + ([] if output is None else [output])

        x, sizes, few = self.encoder.before_layers(frames), frames.sizes, total <= FEW_FRAMES
        if few and (fill := -total % BUCKET):
            x, sizes = F.pad(x, (0, 0, 0, fill)), [*sizes, fill]
        table = self._table(len(x) if few else max(sizes), keep=few)
        blocks = _block_table(sizes, x) if few and can_capture(x, self.head_dim) else None
        if blocks is None:
            states = through(x, sizes, *table)
        else:
            key = (len(x), *numbers, last)
            states = self.graphs.run(key, lambda inputs: through(*inputs), [x, blocks, *table])
        states = [state[:total] for state in states]
        return dict(zip(numbers, states, strict=False)), states[-1] if last else None

    def _table(self, reach: int, *, keep: bool) -> list[Tensor]:
        """Return the position bias of each head up to `reach` frames, and the `ENTRY` beyond that kernels read.

        That of a captured size is kept; an empty list where there is no bias.
        """
        positions = self.encoder.relative_positions
        if positions is None:
            return []
        if reach in self._tables:
            return [self._tables[reach]]
        table = positions.table(reach + ENTRY).contiguous()
        if keep:
            self._tables[reach] = table
        return [table]


def can_capture(x: Tensor, head_dim: int) -> bool:
    """Return whether attention on the device of `x` is a kernel with a block table, and no graph is being captured."""
    if not serves(x.device) or head_dim > MAX_HEAD_DIM:
        return False
    with current_device(x.device):  # whose current stream is asked about
        return not torch.cuda.is_current_stream_capturing()


def _block_table(lengths: list[int], x: Tensor) -> Tensor | None:
    """Return the clips' block table, of a size that depends on x alone; None where there are too many clips for it."""
    blocks, entries = block_table(tuple(lengths), x.device), len(x) // ENTRY + SPARE_ENTRIES
    return None if len(blocks) > entries else F.pad(blocks, (0, 0, 0, entries - len(blocks)))
