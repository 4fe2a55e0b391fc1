"""What every family promises: packed waveforms in, hidden states out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from sonant.layers.clip_statistics import ClipStatistics
from sonant.layers.packed import Packed


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a backbone makes of packed speech.

    Attributes:
        hidden_states: by number; 0 is the input of the first block, i the raw output of block i; (total_frames, dim).
        last: the model's output after the final norm, where it has one; None if it was not asked for.
        lengths: int64 (batch,) on the CPU; frames of each clip.
        frame_rate: frames a second.
    """

    hidden_states: dict[int, Tensor]
    last: Tensor | None
    lengths: Tensor
    frame_rate: float


class Backbone(Protocol):
    """A model as the rest of the house sees it."""

    @property
    def dim(self) -> int: ...

    @property
    def num_layers(self) -> int: ...

    @property
    def sampling_rate(self) -> int: ...

    @property
    def frame_rate(self) -> float: ...

    @property
    def normalize(self) -> bool:
        """Whether each waveform must come with zero mean and unit variance."""

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees; a shorter clip has no frame."""

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""

    def num_frames(self, num_samples: int) -> int: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def clip_statistics(self) -> ClipStatistics | None:
        """An empty account of what must be known of a whole clip to encode windows of it; None where nothing must."""

    def __call__(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: ClipStatistics | None = None,
    ) -> Encoded:
        """Encode waveforms (total_samples,).

        `layers` names the states to keep, numbers or "last"; None keeps all. `statistics` are those of the whole clip
        that the given ones are windows of.
        """
