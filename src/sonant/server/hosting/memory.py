"""Release of memory."""

import ctypes
import gc

import torch


def give_back_memory() -> None:
    """Release unused memory of Python, the GPU and the C library to the operating system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> None:
    """Release unused memory of the C library, which keeps what bodies of requests leave between other objects."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc needs it for large blocks
    if trim is not None:
        trim(0)
