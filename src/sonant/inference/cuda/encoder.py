"""A Transformer encoder for a GPU: with little speech, launching kernels takes longer than running them."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.attention import FusedSelfAttention
from sonant.inference.cuda.recording import Recordings
from sonant.layers.kernels.device import current_device
from sonant.layers.kernels.triton_attention import MAX_HEAD_DIM
from sonant.layers.kernels.triton_blocks import ENTRY, block_table, serves
from sonant.layers.packed import Packed
from sonant.layers.transformer import TransformerEncoder

FEW_FRAMES = 4096  # up to 80 s launching kernels takes longer than running them: they are recorded
BUCKET = 256  # frames that a recorded size is a multiple of
MAX_RECORDINGS = 16  # of one model; the one unused for longest goes first
SPARE_ENTRIES = 32  # of a recording's block table, beyond those that its frames fill: clips end where they end


class RecordedEncoder(nn.Module):
    """A Transformer encoder whose layers, for little speech, are launched all at once.

    Their kernels are recorded once for a size, and replayed for whatever clips fill it: frames are filled up to the
    size by a clip of zeros, and which rows are a clip is data of the kernels. No clip's states change by that.
    """

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder, self.recordings = encoder, Recordings(MAX_RECORDINGS)
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
        blocks = _block_table(sizes, x) if few and recordable(x, self.head_dim) else None
        if blocks is None:
            states = through(x, sizes, *table)
        else:
            key = (len(x), *numbers, last)
            states = self.recordings.run(key, lambda inputs: through(*inputs), [x, blocks, *table])
        states = [state[:total] for state in states]
        return dict(zip(numbers, states, strict=False)), states[-1] if last else None

    def _table(self, reach: int, *, keep: bool) -> list[Tensor]:
        """Return the position bias of each head up to `reach` frames, and the `ENTRY` beyond that kernels read.

        That of a recorded size is kept; an empty list where there is no bias.
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


def recordable(x: Tensor, head_dim: int) -> bool:
    """Return whether attention over frames there is a kernel that a block table steers, and nobody else records it."""
    if not serves(x.device) or head_dim > MAX_HEAD_DIM:
        return False
    with current_device(x.device):  # whose current stream is asked about
        return not torch.cuda.is_current_stream_capturing()


def _block_table(lengths: list[int], x: Tensor) -> Tensor | None:
    """Return the clips' block table, of a size that depends on x alone; None where there are too many clips for it."""
    blocks, entries = block_table(tuple(lengths), x.device), len(x) // ENTRY + SPARE_ENTRIES
    return None if len(blocks) > entries else F.pad(blocks, (0, 0, 0, entries - len(blocks)))
