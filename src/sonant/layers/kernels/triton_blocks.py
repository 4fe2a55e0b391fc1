"""Common parts of the Triton kernels: check of the device, and the block table, which assigns programs to clips."""

import os
from functools import cache, lru_cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError, ModelWarning, warn
from sonant.layers.kernels.device import current_device, to_device

ENTRY = 128  # rows of an entry of the block table; a multiple of the block size of every kernel
HAS_TRITON = find_spec("triton") is not None
MAX_INDEX = 2**31 - 1  # of a value within a clip: kernels use 32-bit offsets


def serves(device: torch.device) -> bool:
    """Return whether Triton kernels run on a device: a GPU with bfloat16 on which a trial kernel ran."""
    return HAS_TRITON and device.type == "cuda" and os.environ.get("SONANT_KERNELS") != "0" and _runs(device)


@cache
def _runs(device: torch.device) -> bool:
    """Return whether a trial kernel runs; warn if it fails, since Triton also needs a compiler and a driver."""
    try:
        if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
            return False
        from sonant.layers.kernels.triton_programs import norm

        x = torch.arange(16.0, device=device)[None]
        copy = torch.empty_like(x)
        with current_device(device):
            norm[1,](
                x, None, None, None, None, copy, 1, 0.0,
                DIM=16, WIDTH=16, NORM=False, GELU=False, KEPT="", ROWS=1, num_warps=1,
            )  # fmt: skip
        return torch.equal(x, copy)
    except Exception as error:  # noqa: BLE001  Triton, its compiler and the driver each have their own
        warn(
            f"Triton does not run on {device} ({type(error).__name__}: {error}), so PyTorch's operations take the "
            "place of this package's kernels there: slower, and with more memory. Triton needs a C compiler (gcc or "
            "clang), Python's header files and a driver that suits it. SONANT_KERNELS=0 says that this is intended.",
            ModelWarning,
        )
        return False


def check_reach(lengths: list[int], values_per_row: int) -> None:
    """Refuse a clip whose offsets do not fit into 32 bits.

    Raises:
        ConfigurationError: the longest clip has more than `MAX_INDEX` values.
    """
    longest, limit = max(lengths), MAX_INDEX // values_per_row
    if longest > limit:
        raise ConfigurationError(
            f"A clip of {longest:,} frames is too long for one pass on a GPU: with {values_per_row:,} values a frame, "
            f"the kernels reach {limit:,} frames ({limit / 180_000:.1f} hours at 50 frames a second). Cut long "
            "recordings into windows, with window_seconds."
        )


def block_table(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the block table, int32 (entries, 3): first row and length of the clip, first row of the entry in the clip.

    Entries of the longest clips come first, as they take longest. The table is cached for the following layers.
    """
    return _block_table(lengths, device)


# Same as `torch.compiler.assume_constant_result`, which would import the compiler (seconds).
serves._dynamo_marked_constant = block_table._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001


@lru_cache(maxsize=64)
def _block_table(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # cached beyond the current inference mode
        offsets = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
        table = block_table_of_offsets(offsets, sum(lengths))
        table = table[table[:, 1] > 0]
        return to_device(table[table[:, 1].argsort(descending=True, stable=True)], device)


def block_table_of_offsets(offsets: Tensor, total: int) -> Tensor:
    """Compute the block table by tensor operations; its size depends on the number of frames and of clips alone.

    Entries are in the order of the clips; those that are not needed are at the end, with length 0.

    Args:
        offsets: int64 (clips + 1,), as `Packed.offsets`; clips may be empty.
        total: frames of all clips.
    """
    lengths = offsets.diff()
    counts = (lengths + ENTRY - 1) // ENTRY  # entries of each clip
    ends = counts.cumsum(0)
    number = torch.arange(total // ENTRY + len(lengths), device=offsets.device)
    clip = torch.searchsorted(ends, number, right=True).clamp(max=len(lengths) - 1)
    first = (number - (ends - counts)[clip]) * ENTRY
    table = torch.stack([offsets[clip], lengths[clip], first], 1)
    return torch.where((number < ends[-1])[:, None], table, 0).int()
