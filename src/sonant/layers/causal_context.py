"""The context network of wav2vec and vq-wav2vec: causal convolutions over the extractor's frames.

All clips share one convolution: each is padded on the left by the reach of the kernel, with copies of its first frame
or zeros, and outputs that overlap two clips are dropped.
"""

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.packed import Packed, steps_at


class CausalLayer(nn.Module):
    """A causal convolution, dropout, group norm over the whole clip, activation."""

    def __init__(
        self, dim: int, kernel: int, *, zero_padding: bool = False, dropout: float = 0.0, name: Activation = "relu"
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, kernel)
        self.norm = ClipGroupNorm(dim)
        self.dropout, self.activation = nn.Dropout(dropout), activation(name)
        self.reach, self.zero_padding = kernel - 1, zero_padding

    def convolve(self, frames: Packed) -> Tensor:
        """Compute the convolution, (total, dim): frame t of a clip depends on its frames t - reach to t."""
        starts = frames.offsets[:-1]
        steps = steps_at(starts - self.reach, frames.lengths + self.reach)
        first = starts.repeat_interleave(frames.lengths + self.reach)
        rows = torch.maximum(steps, first).to(frames.values.device)
        stream = F.embedding(rows, frames.values)  # (total + batch * reach, dim); as a gather, its backward is fast
        if self.zero_padding:
            stream = stream.masked_fill((steps < first).to(stream.device)[:, None], 0.0)
        convolved = self.conv(stream.T[None])[0].T
        if len(frames) == 1:
            return convolved
        at = steps_at(starts + self.reach * torch.arange(len(frames)), frames.lengths)
        return F.embedding(at.to(convolved.device), convolved)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to the same."""
        return self.activation(self.norm(frames.with_values(self.dropout(self.convolve(frames)))))


class CausalContext(nn.Module):
    """A stack of causal convolutions over packed frames.

    Only the convolutions are causal; the norms average over the whole clip, as in the original.

    Args:
        dim: width of the frames, and of every layer.
        kernels: one number per layer.
        skip_connections: whether the input of a layer is added to its output, and the sum scaled by sqrt(0.5).
        zero_padding: pad with zeros instead of copies of the first frame.

    Source: wav2vec (arXiv 1904.05862, section 3.1); fairseq `ConvAggegator` in `models/wav2vec/wav2vec.py`.
    """

    def __init__(
        self,
        dim: int,
        kernels: Sequence[int],
        *,
        skip_connections: bool = False,
        zero_padding: bool = False,
        dropout: float = 0.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            CausalLayer(dim, kernel, zero_padding=zero_padding, dropout=dropout, name=activation) for kernel in kernels
        )
        self.skip_connections = skip_connections

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run the layers up to the last one needed.

        Args:
            frames: (total, dim).
            keep: numbers of the states to return: 0 is the input, i the output of layer i.
            last: whether to return the output of the last layer.

        Returns:
            The states by number, each (total, dim), and the output or None.
        """
        x = frames.values
        kept = {0: x} if 0 in keep else {}
        depth = len(self.layers) if last else max(keep, default=0)
        for number, layer in enumerate(self.layers[:depth], start=1):
            y = layer(frames.with_values(x))
            x = (y + x) * 0.5**0.5 if self.skip_connections else y
            if number in keep:
                kept[number] = x
        return kept, x if last else None
