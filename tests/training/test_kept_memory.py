"""Memory that is freed in the context is used again, and goes back to the system afterwards."""

import sys

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


@pytest.mark.skipif(not sys.platform.startswith("linux") or _glibc() is None, reason="needs glibc")
def test_freed_memory_is_used_again() -> None:
    size, cpu = 64 * MIB, torch.device("cpu")
    pages = size // (64 << 10)  # of the largest pages that systems usually have
    with kept_memory(cpu):
        assert min(faults(size) for _ in range(5)) < pages // 10
    assert min(faults(size) for _ in range(5)) > pages // 2
    with kept_memory(torch.device("cuda")):
        assert min(faults(size) for _ in range(5)) > pages // 2
