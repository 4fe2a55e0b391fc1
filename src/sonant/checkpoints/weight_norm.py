"""The positional convolution of files whose weight norm was folded into its weight."""

import torch
from torch import Tensor

POSITIONS = "encoder.positions."


def unfold(backbone: dict[str, Tensor]) -> None:
    """Part a folded weight into direction and gain, as models under weight norm hold it; others stay as they are.

    `torch.nn.utils.remove_weight_norm`, exporters and some toolkits leave the product alone. The gains are float32 at
    least, so that direction and gain give the weight back to rounding. A tap of zeros gets the gain 0.
    """
    weight = backbone.get(f"{POSITIONS}weight")
    if weight is None or weight.ndim != 3 or any(name.startswith(f"{POSITIONS}norm.") for name in backbone):
        return  # rows of learned positions, or the weight behind a batch norm
    if not {f"{POSITIONS}weight_g", f"{POSITIONS}weight_v"}.isdisjoint(backbone):
        return
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    gains = wide.norm(dim=(0, 1), keepdim=True)  # (1, 1, kernel)
    del backbone[f"{POSITIONS}weight"]
    backbone[f"{POSITIONS}weight_g"] = gains
    backbone[f"{POSITIONS}weight_v"] = torch.where(gains == 0, torch.ones_like(weight), weight)
