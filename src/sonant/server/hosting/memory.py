"""Memory given back to the system."""

import ctypes
import gc

import torch


def give_back_memory() -> None:
    """Return what nothing refers to any more: Python's, the GPU's, and what the C library keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others return large blocks by themselves
    if trim is not None:
        trim(0)
