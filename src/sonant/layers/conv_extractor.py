"""The convolutional feature extractor of the families that take waveforms: 50 frames a second, or wav2vec's 100.

Clips are laid on one stream at multiples of the total stride, so that one convolution serves all of them and the
frames of a clip are those it would have alone. The few frames that straddle two clips are dropped at the end.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import TooShortAudio
from sonant.layers.clip_statistics import ClipStatistics, ConvStatistics, by_clip
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.device import to_device
from sonant.layers.packed import Packed, steps_at

ExtractorNorm = Literal["group", "layer", "clip"]


class ClipNorm(nn.Module):
    """Group norm over the frames of each clip, its statistics never shared: by channel, or over all channels at once.

    A padded batch takes them over the padding as well, which changes a clip's features with its batch mates. They are
    added up in float32 whatever the values are.
    """

    def __init__(self, channels: int, *, groups: int | None = None) -> None:
        super().__init__()
        self.groups = channels if groups is None else groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def normalize(self, clip: Tensor) -> Tensor:
        """Normalize a whole clip (1, channels, steps)."""
        return F.group_norm(clip, self.groups, self.weight, self.bias)

    def forward(
        self,
        stream: Tensor,
        starts: list[int],
        lengths: list[int],
        norms: Sequence[Callable[[Tensor], Tensor]] | None = None,
    ) -> Tensor:
        """(1, channels, steps) to the same; steps outside `starts[i] .. starts[i] + lengths[i]` become zero.

        Clips that are rows, (batch, channels, steps), all start at 0 and fill their row. `norms`: for each clip, a
        function to be called in place of `normalize`.
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
    """Layer norm over the channels of each frame of (1, channels, steps)."""

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


class StridedExtractor(nn.Module):
    """The base of stacks of strided convolutions, in any arithmetic.

    Attributes:
        kernels, strides: one number a layer; stride: that of the whole stack.
        norm: as for `ConvExtractor`.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    stride: int
    norm: ExtractorNorm

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees."""
        return receptive_field(self.kernels, self.strides)

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Frames that so many samples give, int64; zero where they are fewer than the receptive field."""
        return num_frames(num_samples, self.kernels, self.strides)

    def clip_statistics(self) -> ConvStatistics | None:
        """Empty statistics of a whole clip for the group norm; None where no norm looks beyond its frame.

        None for the norm "clip" too: each layer's statistics depend on those of the layers below it, so that no single
        pass over a clip finds them. A window of a long clip is normalized by itself there.
        """
        return ConvStatistics(self.kernels[0], self.strides[0]) if self.norm == "group" else None


class ConvExtractor(StridedExtractor):
    """A stack of strided convolutions over packed waveforms.

    Args:
        channels, kernels, strides: one number a layer; published: 512 channels, total stride 320, reach 400 samples;
            wav2vec and vq-wav2vec: 160 and 465.
        bias: whether the convolutions have one (wav2vec 2.0 LV-60, XLSR, XLS-R).
        norm: "group" (over time, by channel, after the first layer), "layer" (over channels after every layer) or
            "clip" (over channels and time at once after every layer: wav2vec and vq-wav2vec).
        activation: after each norm.
        log_compression: whether frames x come out as log(|x| + 1) (wav2vec and vq-wav2vec).

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

        `statistics`: for each clip that is a window, those of the whole clip; None for one that is a whole, or for all.
        """
        frames = frames_of(speech, self.kernels, self.strides)
        known = None if statistics is None else by_clip(ConvStatistics, statistics, len(speech))
        rows = known is None and as_rows(speech)
        if rows:
            stream = speech.values.unflatten(0, (len(speech), -1))[:, None]  # (batch, 1, samples)
            at, lengths = speech.lengths[:1] * 0, speech.lengths[:1]
        else:
            slots = -(-speech.lengths // self.stride) * self.stride
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


def as_rows(speech: Packed) -> bool:
    """Return whether clips become the rows of a batch: on a GPU, where they are of one length, as in a training step.

    Norms then need not copy clips out of a stream and back. A CPU gains nothing by it.
    """
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
    """Samples that one frame of such a stack sees."""
    field, jump = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def num_frames(num_samples: Tensor, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Frames that such a stack makes of so many samples, int64; zero where they are fewer than one frame sees."""
    for kernel, stride in zip(kernels, strides, strict=True):
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples.clamp(min=0)


def frames_of(speech: Packed, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Frames that such a stack makes of each clip, int64 (batch,); TooShortAudio where one is too short for a frame."""
    frames = num_frames(speech.lengths, kernels, strides)
    if int(frames.min()) == 0:
        raise TooShortAudio(
            f"Clips of {speech.sizes} samples were given; one frame needs {receptive_field(kernels, strides)}. "
            "Drop the shorter clips or join them to their neighbors."
        )
    return frames
