"""Whether this processor takes weights in oneDNN's order."""

import torch


def can_reorder(precision: str) -> bool:
    """Whether a product with reordered weights exists here; processors with AVX2 only have none in bfloat16."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return precision != "bfloat16" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
