"""Memory that is freed in the context is used again, and goes back to the system afterwards."""

import subprocess
import sys

import pytest

from sonant.training.kept_memory import _glibc

# In a process of its own, whose main thread has glibc's main arena: only that can keep large blocks.
CODE = """
import resource
from pathlib import Path
import torch
from sonant.training.kept_memory import kept_memory

SIZE = 64 << 20

def faults():  # pages that the system gives out for a tensor
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(SIZE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():  # bytes of memory
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

with kept_memory(torch.device("cpu")):
    fewest, before = min(faults() for _ in range(8)), held()
print(fewest, held() < before - SIZE // 2)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or _glibc() is None, reason="needs glibc")
def test_freed_memory_is_used_again_and_returned_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    fewest, is_returned = done.stdout.split()
    assert int(fewest) < (64 << 20) // (64 << 10) // 10  # with the largest usual pages
    assert is_returned == "True"
