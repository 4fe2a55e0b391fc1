"""The causal convolution module of Conformer layers on padded batches."""

import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.padded.clips import Padded
from sonant.layers.conformer import ConvModule


class PaddedConvModule(nn.Module):
    """`ConvModule`: causal, so that it does not depend on padding."""

    def __init__(self, module: ConvModule) -> None:
        super().__init__()
        self.plain = module

    def forward(self, frames: Padded) -> Tensor:
        """(batch, time, dim) to the same."""
        plain = self.plain
        gated = F.glu(plain.inner(plain.norm(frames.values)), -1).transpose(1, 2)
        moved = plain.depthwise(F.pad(gated, (plain.depthwise.kernel_size[0] - 1, 0))).transpose(1, 2)
        output: Tensor = plain.outer(F.silu(plain.depthwise_norm(moved)))
        return output
