"""Linear layers with a trainable low-rank product beside frozen weights (LoRA)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LowRankLinear(nn.Linear):
    """Linear layer with the weights W + scale · BA, of which A and B are trained.

        y = x W' + b + scale · dropout(x) A' B'

    A starts random and B at 0, so a new layer computes what the given one does. Source: LoRA (arXiv 2106.09685), with
    the initial values of peft.

    Attributes:
        weight, bias: parameters of the given layer, shared with it.
        lora_A: (rank, inputs).
        lora_B: (outputs, rank).
    """

    def __init__(self, linear: nn.Linear, rank: int, *, scale: float, dropout: float = 0.0) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.scale, self.dropout = scale, nn.Dropout(dropout)
        self.lora_A = nn.Parameter(torch.empty(rank, linear.in_features, device=linear.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank, device=linear.weight.device))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)

    def forward(self, frames: Tensor) -> Tensor:
        product = F.linear(F.linear(self.dropout(frames), self.lora_A), self.lora_B)
        return super().forward(frames) + self.scale * product

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return a plain linear layer of the same outputs."""
        plain = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        plain.weight = nn.Parameter(self.weight + self.scale * (self.lora_B @ self.lora_A))
        plain.bias = self.bias
        return plain
