"""What the Triton kernels share: where they run, and the table that tells their programs which clip they work on."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from sonant.layers.packed import onto

ENTRY = 128  # rows of a clip that one entry of the block table stands for; the blocks of every kernel divide it
HAS_TRITON = find_spec("triton") is not None


def serves(device: torch.device) -> bool:
    """Whether Triton's kernels run there: it is installed, and the GPU multiplies bfloat16."""
    return HAS_TRITON and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def on(device: torch.device) -> AbstractContextManager[object]:
    """Kernels are launched on the current device: make it this one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def block_table(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """int32 (entries, 3): first row of the clip, its length, and a multiple of `ENTRY` rows within it.

    The longest clips come first, as their programs take longest. Kept for the layers to come.
    """
    return _block_table(lengths, device)


# As `torch.compiler.assume_constant_result` would say, which imports all of the compiler, for seconds.
block_table._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001


@lru_cache(maxsize=64)
def _block_table(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    clips, start = [], 0
    for length in lengths:
        clips.append((length, start))
        start += length
    clips.sort(reverse=True)
    entries = [(start, length, first) for length, start in clips for first in range(0, length, ENTRY)]
    with torch.inference_mode(False):  # it outlives the mode that it is made in
        return onto(torch.tensor(entries, dtype=torch.int32), device)
