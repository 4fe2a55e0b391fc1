"""Settings that all tests share."""

import gc
import os

import pytest
import torch
from hypothesis import settings

# Shared machines are slow at times: a test fails for what it computes, never for how long it took.
settings.register_profile("sonant", deadline=None)
settings.load_profile("sonant")

# Without a GPU, Triton's kernels run in its interpreter. It must be chosen before anything imports Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Millions of objects live from the collection of the tests to the end. The garbage collector is kept from looking
# through them again and again, which takes as long as some of the tests.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector see what the tests make, and nothing older."""
    gc.collect()
    gc.freeze()
    gc.enable()
