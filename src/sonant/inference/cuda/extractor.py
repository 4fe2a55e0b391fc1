"""Feature extractor optimized for inference on a GPU: matrix products over the joined clips, one tile at a time."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.clip_statistics import EPS, ClipStatistics, ConvStatistics, by_clip
from sonant.layers.conv_extractor import ChannelNorm, ClipNorm, ConvExtractor, ConvLayer, StridedExtractor, frames_of
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.device import to_device
from sonant.layers.kernels.triton_norm import norm_rows
from sonant.layers.packed import Packed, steps_at

TILE_FRAMES = 1600  # 32 s, enough to occupy a GPU; the largest activation takes 0.5 GB


class CudaExtractor(StridedExtractor):
    """`ConvExtractor` with group or layer norm, optimized for a GPU.

    The first layer is float32, the others `dtype`. Clips are joined as in `ConvExtractor`. Only one tile is computed at
    a time, so that apart from samples and frames, memory does not grow with the batch.
    """

    def __init__(self, extractor: ConvExtractor, dtype: torch.dtype) -> None:
        super().__init__()
        self.kernels, self.strides, self.stride = extractor.kernels, extractor.strides, extractor.stride
        self.norm, self.log_compression, self.dtype = extractor.norm, extractor.log_compression, dtype
        first, *rest = (cast("ConvLayer", layer) for layer in extractor.layers)
        self.first = first.float()
        self.finish = Finish(self.first.norm, extractor.activation, dtype)
        self.rest = nn.ModuleList(
            StridedProduct(layer, stride, extractor.activation, dtype)
            for layer, stride in zip(rest, self.strides[1:], strict=True)
        )
        self.channels = rest[-1].conv.out_channels

    def forward(self, speech: Packed, *, statistics: Sequence[ClipStatistics | None] | None = None) -> Packed:
        """Waveforms (total_samples,) to frames (total_frames, channels).

        `statistics`: for each clip those of the recording that it is a window of, or None for a whole recording.
        """
        frames = frames_of(speech, self.kernels, self.strides)
        slots = -(-speech.lengths // self.stride)  # length of each clip in strides, rounded up
        first_slots = F.pad(slots.cumsum(0)[:-1], (1, 0))
        samples = [
            F.pad(clip.float(), (0, slot * self.stride - len(clip)))
            for clip, slot in zip(speech, slots.tolist(), strict=True)
        ]
        samples.append(samples[0].new_zeros(self.receptive_field - self.stride))
        stream = torch.cat(samples)
        known = by_clip(ConvStatistics, statistics, len(speech))
        weights, biases = self._first_weights(stream, speech, slots, known)
        ends = (first_slots + slots).tolist()
        features = stream.new_empty(int(slots.sum()), self.channels, dtype=self.dtype)
        for start in range(0, len(features), TILE_FRAMES):
            tile = features[start : start + TILE_FRAMES]
            rows = torch.cat(list(self._first_rows(stream, start, start + len(tile), ends, weights, biases)))
            for layer in self.rest:
                rows = layer(rows)
            tile.copy_(rows)
        if len(speech) > 1 or len(features) > int(frames.sum()):
            features = features.index_select(0, to_device(steps_at(first_slots, frames), features.device))
        return Packed(features.abs().log1p() if self.log_compression else features, frames)

    def _first_rows(
        self, stream: Tensor, start: int, end: int, ends: list[int], weights: list[Tensor], biases: list[Tensor | None]
    ) -> Iterator[Tensor]:
        """Yield the first layer's output by clip, (steps, channels), for frames `start` to `end` of the stream."""
        (kernel,), (stride,) = self.first.conv.kernel_size, self.first.conv.stride
        last = (end - 1) * self.stride + self.receptive_field  # end of the receptive field, in samples
        steps = (last - start * self.stride - kernel) // stride + 1
        windows = stream[start * self.stride : last].unfold(0, kernel, stride)[:steps]  # (steps, kernel)
        done = 0
        for number, clip_end in enumerate(ends if len(weights) > 1 else [end]):
            until = steps if clip_end >= end else (clip_end - start) * self.stride // stride
            if until > done:
                rows = F.linear(windows[done:until], weights[number], biases[number])
                yield self.finish(rows)
                done = until

    def _first_weights(
        self, stream: Tensor, speech: Packed, slots: Tensor, known: Sequence[ConvStatistics | None]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Return weights (channels, kernel) and biases (channels,) of the first layer; by clip with a folded norm."""
        conv, norm = self.first.conv, self.first.norm
        taps = conv.weight[:, 0]
        if not isinstance(norm, ClipNorm):
            return [taps], [conv.bias]
        weights: list[Tensor] = [taps] * len(known)
        biases: list[Tensor | None] = [conv.bias] * len(known)
        if None in known:
            mean, covariance = self._window_statistics(stream, speech, slots)
            wide = taps.double()
            factors = norm.weight / ((wide @ covariance * wide).sum(2) + EPS).sqrt()  # (clips, channels)
            offsets = norm.bias - mean @ wide.T * factors
            weights = list((wide * factors[..., None]).float().unbind())
            biases = list(offsets.float().unbind())
        affine = {one: one.affine(conv, norm.weight, norm.bias) for one in set(known) if one is not None}
        for clip, one in enumerate(known):
            if one is not None:
                factor, offset = affine[one]
                weights[clip], biases[clip] = taps * factor.to(taps)[:, None], offset.to(taps)
        return weights, biases

    def _window_statistics(self, stream: Tensor, speech: Packed, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (clips, kernel) and covariance (clips, kernel, kernel) of the input of the first convolution, float64.

        As in `ConvStatistics`; summed over frames, then over clips.
        """
        (kernel,), (stride,) = self.first.conv.kernel_size, self.first.conv.stride
        a_frame = self.stride // stride
        counts = (speech.lengths - kernel) // stride + 1  # windows of each clip
        of_slot = torch.arange(int(slots.sum())) - F.pad(slots.cumsum(0)[:-1], (1, 0)).repeat_interleave(slots)
        left = to_device(counts.repeat_interleave(slots) - of_slot * a_frame, stream.device)  # remaining windows
        inside = torch.arange(a_frame, device=stream.device) < left[:, None]  # (slots, windows of a frame)
        sums = []
        for start in range(0, len(inside), TILE_FRAMES):
            own = inside[start : start + TILE_FRAMES, :, None]
            last = (start + len(own)) * self.stride + kernel - stride
            windows = stream[start * self.stride : last].double().unfold(0, kernel, stride)
            windows = windows[: own.shape[0] * a_frame].unflatten(0, (-1, a_frame)) * own
            sums.append(torch.cat([windows.sum(1), (windows.mT @ windows).flatten(1)], 1))
        by_clip = torch.segment_reduce(torch.cat(sums), "sum", lengths=to_device(slots, stream.device))
        mean, square = (by_clip / to_device(counts, stream.device)[:, None]).split([kernel, kernel**2], 1)
        return mean, square.unflatten(1, (kernel, kernel)) - mean[:, :, None] * mean[:, None, :]


def cuda_extractor(extractor: ConvExtractor, dtype: torch.dtype) -> CudaExtractor | None:
    """Optimize an extractor; None for the norm "clip"."""
    return None if extractor.norm == "clip" else CudaExtractor(extractor, dtype)


class StridedProduct(nn.Module):
    """Convolution of rows (steps, in), layer norm if any, and activation.

    The kernel is split into parts of `stride` taps: windows of `stride` rows do not overlap, so they are a view of the
    input as a matrix, and the convolution is a sum of matrix products.
    """

    def __init__(self, layer: ConvLayer, stride: int, name: Activation, dtype: torch.dtype) -> None:
        super().__init__()
        conv = layer.conv
        self.stride, (self.kernel,) = stride, conv.kernel_size
        taps = conv.weight.detach().transpose(1, 2).to(dtype)  # (out, kernel, in)
        self.parts = [part.flatten(1).contiguous() for part in taps.split(stride, 1)]
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.finish = Finish(layer.norm, name, dtype)

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""
        channels = rows.shape[1]
        steps = (len(rows) - self.kernel) // self.stride + 1
        out: Tensor | None = None
        for number, weight in enumerate(self.parts):
            seen = rows[number * self.stride :].as_strided(
                (steps, weight.shape[1]), (self.stride * channels, 1)
            )  # (fewer steps, taps * in)
            out = F.linear(seen, weight, self.bias) if out is None else out.addmm_(seen, weight.T)
        assert out is not None
        return self.finish(out)


class Finish(nn.Module):
    """Layer norm, if there is one, and activation after a convolution."""

    def __init__(self, norm: nn.Module | None, name: Activation, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.eps = 0.0
        if isinstance(norm, ChannelNorm):
            self.weight, self.bias, self.eps = norm.weight.detach().float(), norm.bias.detach().float(), norm.eps
        self.gelu, self.activation, self.dtype = name == "gelu", activation(name), dtype

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, channels) to the same."""
        if self.weight is None and rows.dtype == self.dtype:
            return self.activation(rows)
        rows, _ = norm_rows(rows, self.weight, self.bias, self.eps, self.dtype, gelu=self.gelu)
        return rows if self.gelu else self.activation(rows)
