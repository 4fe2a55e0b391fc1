"""Detection of traces, which contain torch operations only."""

import torch


def is_traced() -> bool:
    """Return whether torch operations are being traced (compiled, exported, counted), which would miss the kernels."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return True
    modes = getattr(torch._C, "_len_torch_dispatch_stack", int)  # noqa: SLF001  modes that see every operation
    return modes() > 0
