"""A wide grouped convolution over packed clips on a GPU, forward and backward, in Triton.

cuDNN is slow for many taps of few channels. No gaps are needed between clips: a program knows the end of its clip.
Reference: `convolve_reference`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.layers.kernels.device import current_device
from sonant.layers.kernels.triton_blocks import ENTRY, block_table, check_reach, serves

MAX_CHANNELS = 128  # of a group
HALF_TYPES = (torch.float16, torch.bfloat16)
WARPS, STAGES = 4, 3


def available(frames: Tensor, dtype: torch.dtype, channels: int) -> bool:
    """Return whether the kernels support the device of `frames`, the dtype of the products and groups of `channels`."""
    return frames.is_cuda and dtype in HALF_TYPES and channels <= MAX_CHANNELS and serves(frames.device)


def convolve(frames: Tensor, weight: Tensor, bias: Tensor | None, lengths: list[int]) -> Tensor:
    """Convolve each clip with "same" zero padding, `taps // 2` before it; gradients reach frames, weight and bias.

    Deterministic to the bit.

    Args:
        frames: (total, dim).
        weight: (dim, dim / groups, taps), of the dtype of the frames.
        bias: (dim,) or None.
        lengths: frames of each clip.

    Returns:
        (total, dim).
    """
    check_reach(lengths, frames.shape[1])
    blocks = block_table(tuple(lengths), frames.device)
    groups = frames.shape[1] // weight.shape[1]
    taps = weight.unflatten(0, (groups, -1)).permute(0, 3, 2, 1)  # (groups, taps, in, out)
    return packed_convolution(frames, taps, bias, blocks, weight.shape[2] // 2)


def convolve_reference(frames: Tensor, weight: Tensor, bias: Tensor | None, lengths: list[int]) -> Tensor:
    """Compute the reference for `convolve`, clip by clip by PyTorch's convolution."""
    taps, groups = weight.shape[2], frames.shape[1] // weight.shape[1]
    around = (taps // 2, taps - 1 - taps // 2)
    clips = (F.pad(clip.T[None], around) for clip in frames.split(lengths))
    return torch.cat([F.conv1d(clip, weight, bias, groups=groups)[0].T for clip in clips])


@torch.library.custom_op("sonant::packed_convolution", mutates_args=())
def packed_convolution(frames: Tensor, taps: Tensor, bias: Tensor | None, blocks: Tensor, before: int) -> Tensor:
    """Convolve (total, dim) by taps (groups, taps, in, out), the first `before` of which precede the frame."""
    from sonant.layers.kernels.triton_programs import convolution

    frames, taps = frames.contiguous(), taps.contiguous()
    out = _like_frames(frames)
    with current_device(frames.device):
        convolution[len(blocks), len(taps)](
            frames, taps, bias, blocks, out, before,
            **_constants(taps), HAS_BIAS=bias is not None, num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
    return out


@packed_convolution.register_fake
def _like_frames(frames: Tensor, *_: object) -> Tensor:
    return frames.new_empty(frames.shape)


@torch.library.custom_op("sonant::packed_convolution_taps", mutates_args=())
def taps_gradient(out_gradient: Tensor, frames: Tensor, taps: Tensor, blocks: Tensor, before: int) -> Tensor:
    """Gradient to the taps, (groups, taps, in, out)."""
    from sonant.layers.kernels import triton_programs

    frames, of_taps = frames.contiguous(), taps.new_empty(taps.shape)
    with current_device(frames.device):
        triton_programs.taps_gradient[taps.shape[1], len(taps)](
            frames, out_gradient.contiguous(), blocks, of_taps, before, len(blocks),
            **_constants(taps), num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
    return of_taps


@taps_gradient.register_fake
def _like_taps(_out_gradient: Tensor, _frames: Tensor, taps: Tensor, *_: object) -> Tensor:
    return taps.new_empty(taps.shape)


def _constants(taps: Tensor) -> dict[str, object]:
    dim = taps.shape[2]
    width = max(16, 1 << (dim - 1).bit_length())
    return {
        "TAPS": taps.shape[1], "DIM": dim, "WIDTH": width, "PRECISION": "ieee", "ENTRY": ENTRY, "BLOCK": ENTRY,
    }  # fmt: skip


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001  called by name
    frames, taps, bias, blocks, ctx.before = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(frames, taps, blocks)


def _backward(ctx: Any, out_gradient: Tensor) -> tuple[Tensor | None, ...]:
    frames, taps, blocks = ctx.saved_tensors
    back = taps.flip(1).transpose(2, 3)  # convolution with the reversed taps
    of_frames = packed_convolution(out_gradient, back, None, blocks, taps.shape[1] - 1 - ctx.before)
    of_taps = taps_gradient(out_gradient, frames, taps, blocks, ctx.before)
    return of_frames, of_taps, out_gradient.sum(0) if ctx.has_bias else None, None, None


packed_convolution.register_autograd(_backward, setup_context=_setup_context)
