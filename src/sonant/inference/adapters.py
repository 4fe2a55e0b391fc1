"""Update of the adapters in an optimized copy from those of its model; the rest of the copy stays."""

import torch
from torch import nn

from sonant.inference.cuda.blocks import CudaAttentionAdapter
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.models import Backbone, MaskableBackbone

PARTS = ("norm", "inner", "outer")


@torch.no_grad()
def copy_adapters(optimized: Backbone, backbone: Backbone) -> bool:
    """Copy the adapters of a model into its optimized copy; False, with the copy half done, where forms differ."""
    pairs = list(zip(_adapters(optimized), _adapters(backbone), strict=False))
    if not isinstance(backbone, MaskableBackbone) or len(pairs) != backbone.num_layers:
        return False
    for copied, own in pairs:
        if type(copied) not in (AttentionAdapter, CudaAttentionAdapter) or type(own) is not AttentionAdapter:
            return False
        for name in PARTS:
            for kind in ("weight", "bias"):
                into, source = getattr(getattr(copied, name), kind), getattr(getattr(own, name), kind)
                if into.is_inference() and not torch.is_inference_mode_enabled():
                    return False
                into.copy_(source)
    return True


def _adapters(backbone: Backbone) -> list[nn.Module | None]:
    layers = getattr(getattr(backbone, "encoder", None), "layers", ())
    return [getattr(layer, "adapter", None) for layer in layers]
