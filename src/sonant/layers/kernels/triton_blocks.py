"""What the Triton kernels share: where they run, and the table that tells their programs which clip they work on."""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from sonant.layers.packed import onto

ENTRY = 128  # rows of a clip that one entry of the block table stands for; the blocks of every kernel divide it
HAS_TRITON = find_spec("triton") is not None


def serves(device: torch.device) -> bool:
    """Whether Triton's kernels run there: on a GPU that multiplies bfloat16, where one was tried and did."""
    return HAS_TRITON and device.type == "cuda" and os.environ.get("SONANT_KERNELS") != "0" and _runs(device)


@cache
def _runs(device: torch.device) -> bool:
    """Triton needs a C compiler and a driver that suits it; where it fails, PyTorch's operations take its place."""
    try:
        if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
            return False
        from sonant.layers.kernels.triton_programs import norm

        x = torch.arange(16.0, device=device)[None]
        copy = torch.empty_like(x)
        with on(device):
            norm[1,](
                x, None, None, None, None, copy, 1, 0.0,
                DIM=16, WIDTH=16, NORM=False, GELU=False, KEPT="", ROWS=1, num_warps=1,
            )  # fmt: skip
        return torch.equal(x, copy)
    except Exception as error:  # noqa: BLE001  Triton, its compiler and the driver each have their own
        logging.getLogger(__name__).debug("Triton does not run on %s: %s", device, error)
        return False


def on(device: torch.device) -> AbstractContextManager[object]:
    """Kernels are launched on the current device: make it this one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def block_table(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """int32 (entries, 3): first row of the clip, its length, and a multiple of `ENTRY` rows within it.

    The longest clips come first, as their programs take longest. Kept for the layers to come.
    """
    return _block_table(lengths, device)


# As `torch.compiler.assume_constant_result` would say, which imports all of the compiler, for seconds.
serves._dynamo_marked_constant = block_table._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001


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
