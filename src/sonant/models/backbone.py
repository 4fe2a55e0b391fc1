"""The interface of every family: packed waveforms in, hidden states out."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable
from weakref import ReferenceType

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError, UnknownName
from sonant.layers.clip_statistics import ClipStatistics, by_clip
from sonant.layers.packed import Packed
from sonant.models.normalization import RecordingStatistics, WaveformStatistics, normalize_waveform

if TYPE_CHECKING:
    from sonant.models.families import Preset, Task

LinearGroup = Literal["feed_forward", "attention"]  # linear layers that are converted to integers together


class Origin(NamedTuple):
    """The model that an optimized copy was made from, and its precision, for messages."""

    model: "ReferenceType[Backbone]"
    precision: str


@runtime_checkable
class Coder(Protocol):
    """A backbone with a quantizer, which converts speech to codes."""

    def codes(self, speech: Packed, *, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Map waveforms (total_samples,) to codes, int64 (total_frames, num_codebooks)."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """The output of a backbone for packed speech.

    Attributes:
        hidden_states: by number; 0 is the input of the first block, i the raw output of block i; (total_frames, dim).
        last: the output of the model, after the final norm where it has one; None if not requested.
        lengths: int64 (batch,) on the CPU; frames of each clip.
        frame_rate: frames a second.
    """

    hidden_states: dict[int, Tensor]
    last: Tensor | None
    lengths: Tensor
    frame_rate: float


class BackboneConfig(Protocol):
    """The properties that the configuration of every family has; each is a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def dim(self) -> int: ...

    @property
    def num_layers(self) -> int: ...

    @property
    def sampling_rate(self) -> int: ...

    @property
    def normalize(self) -> bool:
        """Return whether each waveform is normalized to zero mean and unit variance before the extractor."""

    @property
    def normalize_epsilon(self) -> float:
        """The term added to the variance when waveforms are normalized."""

    @property
    def receptive_field(self) -> int:
        """Samples of one frame; a shorter clip has no frame."""

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""


class Backbone(nn.Module):
    """The base class of every model, and the interface that the rest of the package uses.

    Attributes:
        extractor: packed waveforms, normalized, to frames (total_frames, channels); has `clip_statistics`.
        int8_groups: the linear layers that may be int8 in optimized copies; blocks whose quantization changes states
            too much are excluded then (`sonant.inference.int8`).
        measured_presets: layer and pooling of the tasks for which they were measured (`sonant analyze`); they win over
            those of the family, see `sonant.models.families.presets_of`.
        origin: the origin of a copy optimized for inference.
    """

    config: BackboneConfig
    extractor: nn.Module
    int8_groups: tuple[LinearGroup, ...] = ("feed_forward",)
    measured_presets: "Mapping[Task, Preset]" = MappingProxyType({})
    origin: Origin | None = None

    @property
    def dim(self) -> int:
        return self.config.dim

    @property
    def num_layers(self) -> int:
        return self.config.num_layers

    @property
    def sampling_rate(self) -> int:
        return self.config.sampling_rate

    @property
    def normalize(self) -> bool:
        """Return whether the model normalizes each waveform to zero mean and unit variance before the extractor."""
        return self.config.normalize

    @property
    def normalize_epsilon(self) -> float:
        """The term added to the variance when waveforms are normalized."""
        return self.config.normalize_epsilon

    @property
    def receptive_field(self) -> int:
        """Samples of one frame; a shorter clip has no frame."""
        return self.config.receptive_field

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return self.config.stride

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sampling_rate / self.stride

    @property
    def device(self) -> torch.device:
        """The device of the computation; a model optimized for a CPU may have weights that are no parameters."""
        return next((weights.device for weights in self.parameters()), torch.device("cpu"))

    @property
    def waveform_dtype(self) -> torch.dtype:
        """The dtype of waveforms for the extractor: that of the weights, unless it needs a more precise one."""
        return next((weights.dtype for weights in self.parameters()), torch.float32)

    def normalized(self, speech: Packed, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Normalize waveforms (total_samples,) where `normalize` says so, and convert them to `waveform_dtype`.

        Each clip is normalized by its own statistics or, if it is a window, by those of the whole recording.
        """
        values, epsilon = speech.values, self.normalize_epsilon
        if self.normalize:
            known = by_clip(RecordingStatistics, statistics, len(speech))
            values = torch.cat(
                [
                    normalize_waveform(clip, epsilon) if one is None else one.normalize(clip, epsilon)
                    for clip, one in zip(speech, known, strict=True)
                ]
            )
        return speech.with_values(values.to(self.waveform_dtype))

    def features(self, speech: Packed, *, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Compute the frames of the extractor (total_frames, channels) from waveforms (total_samples,).

        Args:
            speech: waveforms, not normalized.
            statistics: for each clip that is a window, those of the whole recording; None for a whole clip, or for all.
        """
        known = by_clip(RecordingStatistics, statistics, len(speech))
        scaled = {one: one.of_normalized(self.normalize_epsilon) for one in set(known) if one is not None}
        of_extractor = [None if one is None else scaled[one] for one in known] if scaled else None
        features: Packed = self.extractor(self.normalized(speech, statistics), statistics=of_extractor)
        return features

    def num_frames(self, num_samples: int) -> int:
        """Return the number of frames of a clip with `num_samples` samples."""
        return max(0, (num_samples - self.receptive_field) // self.stride + 1)

    def clip_statistics(self) -> RecordingStatistics | None:
        """Return empty statistics of a whole recording, which are needed to encode its windows.

        None where windows can be encoded independently.
        """
        waveform = WaveformStatistics() if self.normalize else None
        extractor: ClipStatistics | None = self.extractor.clip_statistics()  # type: ignore[operator]
        return None if waveform is None and extractor is None else RecordingStatistics(waveform, extractor)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call `forward` with a check that speech is packed. Raises ConfigurationError."""
        speech = arguments[0] if arguments else named.get("speech")
        if not isinstance(speech, Packed):
            given = next(iter(named.values()), None) if speech is None else speech
            shape = f" of shape {tuple(given.shape)}" if isinstance(given, Tensor) else ""
            raise ConfigurationError(
                f"A model of sonant takes packed speech; it was given a {type(given).__name__}{shape}. From "
                "sonant.layers.packed import Packed; then Packed.pack([clip, ...]) packs waveforms (samples,), and "
                "Packed.from_padded(values, lengths) a padded batch (batch, samples), whose lengths are "
                "attention_mask.sum(1). `encoder.encode` takes recordings of any kind, and does all of this."
            )
        if speech.values.ndim != 1 or not speech.values.is_floating_point():
            raise ConfigurationError(
                f"Packed waveforms are numbers of floating point, (total_samples,); these are {speech.values.dtype} of "
                f"shape {tuple(speech.values.shape)}. Take one channel, and numbers from -1 to 1."
            )
        return super().__call__(*arguments, **named)

    @abstractmethod
    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Encode waveforms (total_samples,), not normalized: the model does so where `normalize` says so.

        Args:
            layers: the states to keep: numbers 0 to num_layers, or "last"; None keeps all. Layers above the highest one
                are not computed.
            statistics: for each clip that is a window, those of the whole recording; None for a whole clip, or for all.
        """

    def wanted(self, layers: Collection[int | str] | None) -> tuple[set[int], bool]:
        """Return the numbers of the hidden states in `layers`, and whether "last" is among them."""
        known = range(self.num_layers + 1)
        if layers is None:
            return set(known), True
        if isinstance(layers, str | int):
            raise ConfigurationError(f"layers={layers!r} was given; expected a list, such as [{layers!r}], or None.")
        for layer in layers:
            if layer != "last" and layer not in known:
                raise UnknownName("layer", layer, [*known, "last"])
        return {layer for layer in layers if isinstance(layer, int)}, "last" in layers
