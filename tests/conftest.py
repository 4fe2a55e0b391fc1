"""Settings that all tests share."""

import os

import torch
from hypothesis import settings

# Shared machines are slow at times: a test fails for what it computes, never for how long it took.
settings.register_profile("sonant", deadline=None)
settings.load_profile("sonant")

# Without a GPU, Triton's kernels run in its interpreter. It must be chosen before anything imports Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
