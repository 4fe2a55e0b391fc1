"""Recovery of weight norm for positional convolutions whose weight norm was folded into the weight."""

import torch
from torch import Tensor

POSITIONS = "encoder.positions."


def unfold(backbone: dict[str, Tensor]) -> None:
    """Split a folded weight into direction and gain; leave other models unchanged.

    `torch.nn.utils.remove_weight_norm`, exporters and some toolkits save only the product. The gains are at least
    float32, so that the product is exact up to rounding. A kernel position of zeros has the gain 0.
    """
    weight = backbone.get(f"{POSITIONS}weight")
    if weight is None or weight.ndim != 3 or any(name.startswith(f"{POSITIONS}norm.") for name in backbone):
        return  # learned positions, or a weight after a batch norm
    if not {f"{POSITIONS}weight_g", f"{POSITIONS}weight_v"}.isdisjoint(backbone):
        return
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    gains = wide.norm(dim=(0, 1), keepdim=True)  # (1, 1, kernel)
    del backbone[f"{POSITIONS}weight"]
    backbone[f"{POSITIONS}weight_g"] = gains
    backbone[f"{POSITIONS}weight_v"] = torch.where(gains == 0, torch.ones_like(weight), weight)
