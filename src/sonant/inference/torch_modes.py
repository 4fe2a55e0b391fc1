"""Modes of PyTorch that the caller may have enabled, and that must not change results."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

CPU = torch.device("cpu")


@contextmanager
def neutral_torch_modes() -> Iterator[None]:
    """Disable autocast, gradients and a default device within the block.

    Only modes that are on are switched off, since every active mode costs time in each operation.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != CPU:
            stack.enter_context(CPU)
        yield
