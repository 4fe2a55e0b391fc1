"""Detection of traces and hooks, which kernels would pass by."""

import torch
from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def is_traced() -> bool:
    """Return whether torch operations are being traced (compiled, exported, counted), which would miss the kernels."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return True
    modes = getattr(torch._C, "_len_torch_dispatch_stack", int)  # noqa: SLF001  modes that see every operation
    return modes() > 0


def is_observed(module: nn.Module) -> bool:
    """Return whether a module has hooks or another `forward` than its class."""
    own = vars(module)
    return "forward" in own or any(own[name] for name in HOOKS)
