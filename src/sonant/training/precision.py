"""Precision of the forward pass in training."""

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Make the context of a forward pass.

    "bfloat16" is autocast where the device computes in bfloat16. A CPU without such instructions would emulate it, ten
    times as slow as float32, in which the pass runs there.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16" and computes_bfloat16(device))


def computes_bfloat16(device: torch.device) -> bool:
    """Return False for a CPU without instructions for bfloat16, or a PyTorch without oneDNN, which would use them."""
    return device.type != "cpu" or (
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001  # nothing public
    )
