"""The causal convolutions of wav2vec and vq-wav2vec for inference on a CPU."""

import torch
from torch import Tensor, nn

from sonant.inference.cpu.convolution import ClipNormed, Convolution
from sonant.inference.cpu.linear import FloatPrecision
from sonant.layers.causal_context import CausalLayer
from sonant.layers.packed import Packed


class CpuCausalLayer(nn.Module):
    """`CausalLayer` without dropout, clip by clip; float32 except for its products."""

    def __init__(self, layer: CausalLayer, *, precision: FloatPrecision = "float32") -> None:
        super().__init__()
        self.reach, self.zero_padding = layer.reach, layer.zero_padding
        convolution = Convolution(layer.conv.weight, layer.conv.bias, 1, precision=precision)
        self.convolve = ClipNormed(convolution, layer.norm, layer.activation)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim)."""
        made = torch.empty_like(frames.values, dtype=torch.float32)
        for clip, out in zip(frames, made.split(frames.sizes), strict=True):
            first = torch.zeros_like(clip[:1]) if self.zero_padding else clip[:1]
            out.copy_(self.convolve(torch.cat([first.expand(self.reach, -1), clip])))
        return made
