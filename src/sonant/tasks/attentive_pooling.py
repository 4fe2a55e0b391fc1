"""Self-attentive pooling: a mean of frames with learned weights."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from sonant.tasks.linear import linear_of, tensors_of

CONTEXT = "attention.context"


class AttentivePooling(nn.Module):
    """Weights of the frames x_t of a clip, a softmax over time of their scores: score_t = u . tanh(W x_t + b).

    Args:
        hidden: W and b, from the width of the frames to that of the context.
        context: u (hidden,).

    Source: Cai, Chen and Li, Odyssey 2018 (arXiv 1804.05160), section 3.2.
    """

    def __init__(self, hidden: nn.Linear, context: Tensor) -> None:
        super().__init__()
        self.hidden = hidden
        self.context = nn.Parameter(context)

    @classmethod
    def fresh(cls, width: int) -> Self:
        """Make it with random weights."""
        return cls(nn.Linear(width, width), torch.randn(width) / width**0.5)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Make it from `attention.{weight,bias,context}` of a head; None without them."""
        if CONTEXT not in tensors:
            return None
        return cls(linear_of(tensors, "attention."), tensors[CONTEXT].float())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.hidden, "attention.") | {CONTEXT: self.context}

    def forward(self, frames: Tensor) -> Tensor:
        """Compute the scores (frames,) of frames (frames, width)."""
        return self.hidden(frames).tanh() @ self.context
