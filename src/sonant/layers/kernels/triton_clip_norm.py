"""Norm of each channel over the steps of a clip, and GELU, on a GPU, forward and backward, in Triton.

Under autocast PyTorch normalizes in float32: for each value it moves 32 bytes forward and 44 backward, and keeps 8 for
the way back. These kernels move 6 and 10, and keep the input, 2. Reference: `norm_gelu_reference`.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ModelWarning, warn
from sonant.layers.clip_statistics import EPS
from sonant.layers.kernels.device import current_device, to_device
from sonant.layers.kernels.tracing import is_traced
from sonant.layers.kernels.triton_blocks import serves

BLOCK, WARPS = 2048, 4


def available(stream: Tensor) -> bool:
    """Return whether the kernels serve the device of the stream, where they agreed with PyTorch in a trial."""
    return stream.is_cuda and not is_traced() and serves(stream.device) and _agrees(stream.device)


@cache
def _agrees(device: torch.device) -> bool:
    """Return whether results and gradients equal PyTorch's on two clips; warn if they do not, or if that fails."""
    lengths, generator = [4099, 70], torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator) for shape in ((1, 3, 4200), (3,), (3,), (1, 3, 4200))]
    try:
        with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast("cuda", enabled=False):
            *given, slope = (part.to(device).requires_grad_() for part in drawn)
            stream, weight, bias = given
            found = []
            for function in (norm_gelu, norm_gelu_reference):
                result = function(stream, weight, bias, [0, 4120], lengths)
                found.append((result, *torch.autograd.grad(result, given, slope)))
            for ours, theirs in zip(*found, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    except Exception as error:  # noqa: BLE001  Triton, its compiler and the driver each have their own
        warn(
            f"The norm of channels in Triton does not agree with PyTorch's on {device}, or does not run "
            f"({type(error).__name__}: {error}), so PyTorch's takes its place: slower, and with more memory.",
            ModelWarning,
        )
        return False
    return True


def norm_gelu(stream: Tensor, weight: Tensor, bias: Tensor, starts: list[int], lengths: list[int]) -> Tensor:
    """Normalize each channel over each clip, in float32, then GELU; gradients reach stream, weight and bias.

    Deterministic to the bit.

    Args:
        stream: (rows, channels, steps), with the same clips in each row.
        weight, bias: (channels,).
        starts, lengths: steps of each clip, the first from step 0; steps between clips become zero.

    Returns:
        (rows, channels, steps), of the dtype of the stream.
    """
    rows, channels, steps = stream.shape
    ends = [*starts[1:], steps]
    table = torch.tensor(
        [
            (row * channels * steps + start, length, end - start)
            for row in range(rows)
            for start, length, end in zip(starts, lengths, ends, strict=True)
        ]
    )
    result: Tensor = clip_norm(stream, weight, bias, to_device(table, stream.device))[0]
    return result


def norm_gelu_reference(stream: Tensor, weight: Tensor, bias: Tensor, starts: list[int], lengths: list[int]) -> Tensor:
    """Compute the reference for `norm_gelu`, clip by clip by PyTorch's group norm."""
    ends, wide = [*starts[1:], stream.shape[2]], stream.to(weight.dtype)
    clips = [
        F.pad(
            F.group_norm(wide[:, :, start : start + length], len(weight), weight, bias, EPS), (0, end - start - length)
        )
        for start, length, end in zip(starts, lengths, ends, strict=True)
    ]
    return F.gelu(torch.cat(clips, 2)).to(stream.dtype)


@torch.library.custom_op("sonant::clip_norm_gelu", mutates_args=())
def clip_norm(stream: Tensor, weight: Tensor, bias: Tensor, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the result, and mean and 1 / deviation of each clip and channel, (clips, channels) in float32."""
    from sonant.layers.kernels.triton_norm_programs import clip_norm_gelu

    stream = stream.contiguous()
    result, means, scales = _like_stream(stream, weight, bias, clips)
    with current_device(stream.device):
        clip_norm_gelu[len(weight), len(clips)](
            stream, weight, bias, clips, result, means, scales, stream.shape[2], EPS, BLOCK=BLOCK, num_warps=WARPS
        )
    return result, means, scales


@clip_norm.register_fake
def _like_stream(stream: Tensor, weight: Tensor, _bias: Tensor, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    means, scales = (stream.new_empty(len(clips), len(weight), dtype=torch.float32) for _ in range(2))
    return stream.new_empty(stream.shape), means, scales


@torch.library.custom_op("sonant::clip_norm_gelu_gradient", mutates_args=())
def clip_norm_gradient(
    stream: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor, clips: Tensor, means: Tensor, scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients to the stream, and to weight and bias for each clip, (clips, channels)."""
    from sonant.layers.kernels.triton_norm_programs import clip_norm_gelu_gradient

    stream = stream.contiguous()
    made = _like_gradients(stream, gradient, weight, bias, clips, means, scales)
    with current_device(stream.device):
        clip_norm_gelu_gradient[len(weight), len(clips)](
            stream, gradient.contiguous(), weight, bias, clips, means, scales, *made, stream.shape[2],
            BLOCK=BLOCK, num_warps=WARPS,
        )  # fmt: skip
    return made


@clip_norm_gradient.register_fake
def _like_gradients(
    stream: Tensor, _gradient: Tensor, _weight: Tensor, _bias: Tensor, _clips: Tensor, means: Tensor, scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return stream.new_empty(stream.shape), torch.empty_like(means), torch.empty_like(scales)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, means, scales = output
    ctx.mark_non_differentiable(means, scales)
    ctx.save_for_backward(*inputs, means, scales)


def _backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    stream, weight, bias, clips, means, scales = ctx.saved_tensors
    of_stream, of_weight, of_bias = clip_norm_gradient(stream, gradient, weight, bias, clips, means, scales)
    return of_stream, of_weight.sum(0).to(weight.dtype), of_bias.sum(0).to(bias.dtype), None


clip_norm.register_autograd(_backward, setup_context=_setup_context)
