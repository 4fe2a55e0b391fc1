"""Memory that is freed in the context is used again, and goes back to the system afterwards."""

import sys
from pathlib import Path

import pytest
import torch

from sonant.training.kept_memory import _glibc, kept_memory

MIB = 1 << 20


def faults(size: int) -> int:
    """Count the pages that the system gives out for a tensor of so many bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size, dtype=torch.uint8)
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


def held() -> int:
    """Return the bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux") or _glibc() is None, reason="needs glibc")
def test_freed_memory_is_used_again_and_returned_at_the_end() -> None:
    size = 64 * MIB
    with kept_memory(torch.device("cpu")):
        assert min(faults(size) for _ in range(8)) < size // (64 << 10) // 10  # with the largest usual pages
        before = held()
    assert held() < before - size // 2
