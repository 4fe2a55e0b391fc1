"""What extraction needs of a model, and the words in which its results are asked for."""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, Protocol

from torch import Tensor, nn

from sonant.layers.clip_statistics import ClipStatistics
from sonant.layers.packed import Packed

Layer = int | Literal["last"]  # a hidden state by number (0: input of the first block), or the model's output


class Encoded(Protocol):
    """The states of a packed batch: each (total_frames, dim), the clips one behind another."""

    @property
    def hidden_states(self) -> Mapping[int, Tensor]: ...
    @property
    def last(self) -> Tensor | None: ...
    @property
    def lengths(self) -> Tensor: ...


class Backbone(Protocol):
    """A model over packed waveforms (total_samples,)."""

    @property
    def dim(self) -> int: ...
    @property
    def num_layers(self) -> int: ...
    @property
    def sampling_rate(self) -> int: ...
    @property
    def normalize(self) -> bool: ...
    @property
    def stride(self) -> int: ...
    @property
    def receptive_field(self) -> int: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def clip_statistics(self) -> ClipStatistics | None:
        """An empty account of what must be known of a whole clip to encode windows of it; None where nothing must."""

    def __call__(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: ClipStatistics | None = None,
    ) -> Encoded: ...
