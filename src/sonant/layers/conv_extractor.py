"""Convolutional feature extractor from waveforms to frames: 50 frames a second, 100 in wav2vec and vq-wav2vec.

Clips are joined into one time axis, each starting at a multiple of the total stride, so one convolution computes the
same frames as for each clip alone. Frames whose receptive field spans two clips are dropped.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.clip_statistics import ClipStatistics, ConvStatistics, by_clip
from sonant.layers.kernels import triton_clip_norm
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.device import to_device
from sonant.layers.kernels.tracing import is_traced
from sonant.layers.packed import Packed, require_steps, steps_at
from sonant.layers.row_convolution import convolve_normalized, convolve_rows

# A GPU's library plans each convolution again for another length: streams of 32 times as many frames or more are
# lengthened to multiples.
STREAM_FRAMES = 128

ExtractorNorm = Literal["group", "layer", "clip"]


class ClipNorm(nn.Module):
    """Group norm with statistics of each clip, in float32; `groups=None`: a group for each channel."""

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        self.groups = channels if groups is None else groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def normalize(self, clip: Tensor) -> Tensor:
        """Normalize one clip (1, channels, steps)."""
        return F.group_norm(clip, self.groups, self.weight, self.bias)

    def forward(
        self,
        stream: Tensor,
        starts: list[int],
        lengths: list[int],
        norms: Sequence[Callable[[Tensor], Tensor]] | None = None,
    ) -> Tensor:
        """Normalize clips joined in (1, channels, steps), or as rows (batch, channels, steps) of one length.

        Args:
            starts, lengths: steps of each clip; steps between clips become zero. Rows: [0] and their length.
            norms: a function for each clip, called in place of `normalize`.
        """
        norms = [self.normalize] * len(starts) if norms is None else norms
        if starts == [0] and lengths == [stream.shape[2]]:
            return norms[0](stream)
        ends = [*starts[1:], stream.shape[2]]
        return torch.cat(
            [
                F.pad(norm(stream[:, :, start : start + length]), (0, end - start - length))
                for norm, start, length, end in zip(norms, starts, lengths, ends, strict=True)
            ],
            dim=2,
        )


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, channels, steps)."""

    def forward(self, stream: Tensor) -> Tensor:
        return super().forward(stream.transpose(1, 2)).transpose(1, 2)


class ConvLayer(nn.Module):
    """One convolution without padding, its norm (if any) and its activation."""

    def __init__(self, conv: nn.Conv1d, norm: ClipNorm | ChannelNorm | None, name: Activation = "gelu") -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activation = activation(name)
        nn.init.kaiming_normal_(conv.weight)

    def forward(
        self,
        stream: Tensor,
        starts: list[int],
        lengths: list[int],
        statistics: Sequence[ConvStatistics | None] | None = None,
    ) -> Tensor:
        stream = self.conv(stream)  # (1, channels, steps)
        norm = self.norm
        if isinstance(norm, ClipNorm):
            norms = None
            if statistics is None and self._fuses_norm(stream):
                return triton_clip_norm.norm_gelu(stream, norm.weight, norm.bias, starts, lengths)
            if statistics is not None:
                norms = [
                    norm.normalize
                    if one is None
                    else partial(one.normalize, conv=self.conv, weight=norm.weight, bias=norm.bias)
                    for one in statistics
                ]
            stream = norm(stream, starts, lengths, norms)
        elif norm is not None:
            stream = norm(stream)
        return self.activation(stream)

    def _fuses_norm(self, stream: Tensor) -> bool:
        """Return whether one kernel computes norm and activation of the convolution's output."""
        norm = self.norm
        if not isinstance(norm, ClipNorm) or norm.groups != len(norm.weight) or self.activation is not F.gelu:
            return False
        return _runs_its_own_forward(norm) and triton_clip_norm.available(stream)

    def of_rows(self, rows: Tensor) -> Tensor:
        """Compute one clip from rows, (steps, in) to (fewer steps, out); a group norm for each channel at most."""
        conv, norm = self.conv, self.norm
        if isinstance(norm, ClipNorm):
            return self.activation(convolve_normalized(rows[:, 0], conv, norm.weight, norm.bias))
        rows = convolve_rows(rows, conv.weight, conv.bias, conv.stride[0])
        if norm is not None:
            rows = F.layer_norm(rows, rows.shape[1:], norm.weight, norm.bias, norm.eps)
        return self.activation(rows)


class StridedExtractor(nn.Module):
    """Base class of `ConvExtractor` and its forms optimized for inference.

    Attributes:
        kernels, strides: one number for each layer.
        stride: samples from frame to frame, the product of the strides.
        norm: as for `ConvExtractor`.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    stride: int
    norm: ExtractorNorm

    @property
    def receptive_field(self) -> int:
        """Samples that one frame depends on."""
        return receptive_field(self.kernels, self.strides)

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Frames of clips of these lengths in samples, int64; 0 below the receptive field."""
        return num_frames(num_samples, self.kernels, self.strides)

    def clip_statistics(self) -> ConvStatistics | None:
        """Make empty statistics of a whole clip for the norm "group"; None for "layer" and "clip".

        With "clip", statistics of a layer depend on those below, so one pass over a clip cannot gather them: each
        window of a long clip is normalized with its own.
        """
        return ConvStatistics(self.kernels[0], self.strides[0]) if self.norm == "group" else None


class ConvExtractor(StridedExtractor):
    """A stack of strided convolutions over packed waveforms.

    Args:
        channels, kernels, strides: one number for each layer. Published: 512 channels, total stride 320, receptive
            field 400 samples; wav2vec and vq-wav2vec: 160 and 465.
        bias: convolutions have a bias (wav2vec 2.0 LV-60, XLSR, XLS-R).
        norm: "group" (over time, by channel, after the first layer), "layer" (over channels after every layer) or
            "clip" (over channels and time at once after every layer: wav2vec and vq-wav2vec).
        activation: after each norm.
        log_compression: return log(|x| + 1) of frames x (wav2vec and vq-wav2vec).

    Source: wav2vec 2.0 (arXiv 2006.11477, section 2), wav2vec (arXiv 1904.05862, section 3.1); fairseq's two classes
    `ConvFeatureExtractionModel`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        *,
        bias: bool = False,
        norm: ExtractorNorm = "group",
        activation: Activation = "gelu",
        log_compression: bool = False,
    ) -> None:
        super().__init__()
        self.kernels, self.strides = tuple(kernels), tuple(strides)
        self.stride = prod(strides)
        self.norm, self.activation, self.log_compression = norm, activation, log_compression
        self.layers = nn.ModuleList(
            ConvLayer(nn.Conv1d(before, after, kernel, stride, bias=bias), _norm(norm, number, after), activation)
            for number, (before, after, kernel, stride) in enumerate(
                zip((1, *channels[:-1]), channels, kernels, strides, strict=True)
            )
        )

    def forward(self, speech: Packed, *, statistics: Sequence[ClipStatistics | None] | None = None) -> Packed:
        """Waveforms (total_samples,) to frames (total_frames, channels).

        `statistics`: for each clip those of the recording that it is a window of, or None for a whole recording.
        """
        frames = frames_of(speech, self.kernels, self.strides)
        known = None if statistics is None else by_clip(ConvStatistics, statistics, len(speech))
        if (known is None or not any(known)) and self._takes_rows(speech.values):
            features = torch.cat([self._of_clip(clip) for clip in speech])
            return Packed(features.abs().log1p() if self.log_compression else features, frames)
        rows = known is None and as_rows(speech)
        if rows:
            stream = speech.values.unflatten(0, (len(speech), -1))[:, None]  # (batch, 1, samples)
            at, lengths = speech.lengths[:1] * 0, speech.lengths[:1]
        else:
            slots = self._slots(speech) * self.stride
            stream = torch.cat(
                [F.pad(clip, (0, slot - len(clip))) for clip, slot in zip(speech, slots.tolist(), strict=True)]
            )[None, None]  # (1, 1, samples)
            at, lengths = F.pad(slots.cumsum(0)[:-1], (1, 0)), speech.lengths
        for kernel, stride, layer in zip(self.kernels, self.strides, self.layers, strict=True):
            at, lengths = at // stride, (lengths - kernel) // stride + 1
            stream = layer(stream, at.tolist(), lengths.tolist(), known)
        features = stream.transpose(1, 2).flatten(0, 1)  # (steps, channels)
        if len(speech) > 1 and not rows:
            features = features.index_select(0, to_device(steps_at(at, frames), features.device))
        features = features[: int(frames.sum())]
        return Packed(features.abs().log1p() if self.log_compression else features, frames)

    def _slots(self, speech: Packed) -> Tensor:
        """Return the frames that each clip takes in the stream."""
        slots = -(-speech.lengths // self.stride)
        return in_few_totals(slots) if speech.values.is_cuda else slots

    def _takes_rows(self, samples: Tensor) -> bool:
        """Return whether clips are computed one by one from rows of channels: on a CPU, whose products are faster."""
        if samples.device.type != "cpu" or self.norm == "clip" or samples.requires_grad or is_traced():
            return False
        return all(map(_runs_its_own_forward, self.layers.modules()))

    def _of_clip(self, samples: Tensor) -> Tensor:
        """Compute the frames (frames, channels) of a clip (samples,)."""
        rows = samples[:, None]
        for layer in self.layers:
            rows = layer.of_rows(rows)  # type: ignore[operator]
        return rows


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _runs_its_own_forward(module: nn.Module) -> bool:
    """Return False for a module that is not one of ours, such as an adapter, or that has hooks."""
    known = type(module) in (nn.ModuleList, nn.Conv1d, ConvLayer, ClipNorm, ChannelNorm) or not [
        *module.parameters(recurse=False)
    ]
    own = vars(module)
    return known and "forward" not in own and not any(own[name] for name in HOOKS)


def in_few_totals(slots: Tensor) -> Tensor:
    """Lengthen the last of some slots (clips,), so that a long stream has one of few lengths."""
    total = int(slots.sum())
    slots[-1] += -total % STREAM_FRAMES if total >= 32 * STREAM_FRAMES else 0
    return slots


def as_rows(speech: Packed) -> bool:
    """Return True for clips of one length on a GPU: as rows of a batch, norms need no copies. A CPU gains nothing."""
    return speech.values.is_cuda and len(set(speech.sizes)) == 1


def _norm(name: ExtractorNorm, number: int, channels: int) -> ClipNorm | ChannelNorm | None:
    """The norm behind convolution `number`."""
    match name:
        case "layer":
            return ChannelNorm(channels)
        case "clip":
            return ClipNorm(channels, groups=1)
        case "group":
            return ClipNorm(channels) if number == 0 else None


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of such a stack depends on."""
    field, jump = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def num_frames(num_samples: Tensor, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Frames of clips of these lengths in samples, int64; 0 below the receptive field."""
    for kernel, stride in zip(kernels, strides, strict=True):
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples.clamp(min=0)


def frames_of(speech: Packed, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Frames of each clip, int64 (batch,). Raises TooShortAudio for a clip shorter than the receptive field."""
    frames = num_frames(speech.lengths, kernels, strides)
    require_steps(speech.sizes, receptive_field(kernels, strides), "one frame", unit="samples")
    return frames
