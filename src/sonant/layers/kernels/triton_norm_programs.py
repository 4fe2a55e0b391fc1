"""Triton kernels of the norm of channels over the steps of a clip, with GELU; `triton_clip_norm` launches them.

A program reads one channel of one clip, twice in each direction: first its sums, then its steps. An entry of the clip
table (int64, three numbers) holds the place of the first step of channel 0, the steps of the clip, and the steps up to
the next clip, which become zero beyond the clip. Sums are float32, block by block.
"""

import triton
import triton.language as tl

ROOT_HALF = tl.constexpr(0.7071067811865476)
ROOT_TAU_INVERSE = tl.constexpr(0.3989422804014327)  # 1 / sqrt(2 pi)


@triton.jit
def _clip(clips, channel_stride):
    """Return the place of the first step, the steps of the clip and those up to the next one, for this program."""
    entry = clips + tl.program_id(1) * 3
    first = tl.load(entry) + tl.program_id(0).to(tl.int64) * channel_stride
    return first, tl.load(entry + 1).to(tl.int32), tl.load(entry + 2).to(tl.int32)


@triton.jit(do_not_specialize=["channel_stride"])
def clip_norm_gelu(x, weight, bias, clips, result, means, scales, channel_stride, eps, BLOCK: tl.constexpr):
    """Compute `result`, and the mean and 1 / deviation of each clip and channel."""
    first, length, slot = _clip(clips, channel_stride)
    steps = tl.arange(0, BLOCK)
    mean = 0.0
    squares = 0.0  # of deviations from the mean
    for begin in range(0, length, BLOCK):
        inside = begin + steps < length
        values = tl.load(x + first + begin + steps, mask=inside, other=0.0).to(tl.float32)
        count = tl.minimum(length - begin, BLOCK).to(tl.float32)
        own = tl.sum(values, 0) / count
        values = tl.where(inside, values - own, 0.0)
        share, gap = count / (begin + count), own - mean
        mean += gap * share
        squares += tl.sum(values * values, 0) + gap * gap * share * begin
    scale = tl.rsqrt(squares / length + eps)
    place = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    tl.store(means + place, mean)
    tl.store(scales + place, scale)
    factor = tl.load(weight + tl.program_id(0)).to(tl.float32) * scale
    offset = tl.load(bias + tl.program_id(0)).to(tl.float32)
    for begin in range(0, slot, BLOCK):
        inside = begin + steps < length
        values = tl.load(x + first + begin + steps, mask=inside, other=0.0).to(tl.float32)
        values = (values - mean) * factor + offset
        values = tl.where(inside, 0.5 * values * (1.0 + tl.erf(values * ROOT_HALF)), 0.0)
        tl.store(result + first + begin + steps, values.to(result.dtype.element_ty), mask=begin + steps < slot)


@triton.jit
def _slopes(x, gradient, at, inside, mean, scale, weight, bias):
    """Return the normalized values, and the gradient of the norm's output, zero outside the clip."""
    values = (tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - mean) * scale
    normed = values * weight + bias
    slope = 0.5 * (1.0 + tl.erf(normed * ROOT_HALF)) + normed * tl.exp(-0.5 * normed * normed) * ROOT_TAU_INVERSE
    return values, tl.load(gradient + at, mask=inside, other=0.0).to(tl.float32) * slope


@triton.jit(do_not_specialize=["channel_stride"])
def clip_norm_gelu_gradient(
    x, gradient, weight, bias, clips, means, scales, of_x, of_weight, of_bias, channel_stride, BLOCK: tl.constexpr
):  # fmt: skip
    """Compute the gradients; those of weight and bias for each clip and channel."""
    first, length, slot = _clip(clips, channel_stride)
    steps = tl.arange(0, BLOCK)
    place = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    mean, scale = tl.load(means + place), tl.load(scales + place)
    factor = tl.load(weight + tl.program_id(0)).to(tl.float32)
    offset = tl.load(bias + tl.program_id(0)).to(tl.float32)
    total = 0.0
    weighted = 0.0
    for begin in range(0, length, BLOCK):
        inside = begin + steps < length
        values, slopes = _slopes(x, gradient, first + begin + steps, inside, mean, scale, factor, offset)
        slopes = tl.where(inside, slopes, 0.0)
        total += tl.sum(slopes, 0)
        weighted += tl.sum(slopes * values, 0)
    tl.store(of_weight + place, weighted)
    tl.store(of_bias + place, total)
    for begin in range(0, slot, BLOCK):
        inside = begin + steps < length
        at = first + begin + steps
        values, slopes = _slopes(x, gradient, at, inside, mean, scale, factor, offset)
        values = (slopes - (total + values * weighted) / length) * (factor * scale)
        values = tl.where(inside, values, 0.0)
        tl.store(of_x + at, values.to(of_x.dtype.element_ty), mask=begin + steps < slot)
