"""Memory of the CPU that a process keeps between training steps, which need as much of it again."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Parameters of mallopt, and their values: freed memory stays in the heap, or goes back as in a new process.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
KEEP = {M_TRIM_THRESHOLD: -1, M_MMAP_MAX: 0}
RETURN = {M_TRIM_THRESHOLD: 64 << 20, M_MMAP_THRESHOLD: 32 << 20, M_MMAP_MAX: 1 << 16}


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """Keep freed memory of the process while the context is open, if the device is a CPU and the C library is glibc.

    glibc returns large blocks to the system when they are freed, and the system clears every page that it gives out
    again: a step of a Base model gets more than a gigabyte so.
    """
    library = _glibc() if device.type == "cpu" else None
    if library is None:
        yield
        return
    for parameter, value in KEEP.items():
        library.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in RETURN.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library of the process, or None if it is another than glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  an AttributeError elsewhere
    except (AttributeError, OSError, TypeError):  # the last on Windows
        return None
    return library
