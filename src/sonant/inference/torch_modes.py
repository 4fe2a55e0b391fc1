"""PyTorch's modes that a caller may have switched on for its own code, kept from changing results here."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

CPU = torch.device("cpu")


@contextmanager
def neutral_torch_modes() -> Iterator[None]:
    """Disable autocast and gradients, and make new tensors on the CPU unless they are asked for elsewhere.

    Only what is switched on is switched off: a mode that PyTorch has to look at costs time in every operation.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device() != CPU:
            stack.enter_context(CPU)
        yield
