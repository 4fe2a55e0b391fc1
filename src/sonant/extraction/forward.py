"""Forward passes over clips, within a budget of samples that is halved when memory runs out."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sonant.errors import ConfigurationError, NonFiniteStates
from sonant.extraction.batching import usual_batch_seconds, within
from sonant.extraction.finiteness import are_finite, non_finite
from sonant.extraction.request import Layer
from sonant.inference.torch_modes import neutral_torch_modes
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Encoded
from sonant.models.normalization import RecordingStatistics

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording, or a window of one, for a forward pass.

    Attributes:
        samples: float32 (samples,).
        layers: states to return, in this order.
        statistics: of the whole recording, if the clip is a window and the model needs them.
    """

    samples: np.ndarray
    layers: tuple[Layer, ...]
    statistics: RecordingStatistics | None = None

    @property
    def size(self) -> int:
        """The length in samples."""
        return len(self.samples)


class Forward:
    """The forward passes of one model on one device.

    Attributes:
        backbone: the model, in evaluation mode.
        budget: most samples of a pass; halved when memory runs out.
    """

    def __init__(self, backbone: Backbone, batch_seconds: float | None = None) -> None:
        seconds = suitable_batch_seconds(backbone) if batch_seconds is None else batch_seconds
        self.backbone, self.budget = backbone, seconds * backbone.sampling_rate

    def __call__(self, clips: Sequence[Clip]) -> Iterator[Tensor | NonFiniteStates]:
        """Yield the states of each clip, float32 (layers, frames, dim), in order: views into the states of a pass.

        For a clip with non-finite states, yield a NonFiniteStates in their place.

        Raises:
            ConfigurationError: a single clip does not fit into memory.
        """
        waiting = list(clips)
        while waiting:
            group = next(within(waiting, self.budget))
            states = self._pass(group)
            if states is None:  # outside the except block, where memory of the failed pass is free
                self._shrink(group)
                continue
            yield from states
            waiting = waiting[len(group) :]

    def _pass(self, clips: Sequence[Clip]) -> Sequence[Tensor | NonFiniteStates] | None:
        """Run one forward pass; return None if memory ran out."""
        wanted = {layer for clip in clips for layer in clip.layers}
        known = [clip.statistics for clip in clips]
        statistics = None if all(one is None for one in known) else known
        try:
            with neutral_torch_modes():
                speech = Packed.pack(torch.from_numpy(np.ascontiguousarray(clip.samples)) for clip in clips)
                encoded = self.backbone(speech.to(self.backbone.device), layers=wanted, statistics=statistics)
                lengths = encoded.lengths.tolist()
                whole = {layer: _state(encoded, layer).float() for layer in wanted}
                parts = {layer: state.split(lengths) for layer, state in whole.items()}
                states = [_stacked([parts[layer][i] for layer in clip.layers]) for i, clip in enumerate(clips)]
                if are_finite(whole.values()):
                    return states
                return [
                    own if are_finite([own]) else non_finite(self.backbone, clip.samples, clip.statistics)
                    for own, clip in zip(states, clips, strict=True)
                ]
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            return None

    def _shrink(self, group: Sequence[Clip]) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        sizes, rate = [clip.size for clip in group], self.backbone.sampling_rate
        if len(group) == 1:
            raise ConfigurationError(
                f"A single forward pass over {sizes[0] / rate:.1f} s of audio did not fit into memory. Cut long "
                f"recordings into shorter windows: window_seconds={max(1, sizes[0] // (2 * rate))}."
            )
        self.budget = min(self.budget, sum(sizes)) / 2


def suitable_batch_seconds(backbone: Backbone) -> float:
    """Return the default seconds of audio in a pass on the model's device."""
    is_cuda = backbone.device.type == "cuda"
    return usual_batch_seconds(torch.cuda.get_device_properties(backbone.device).total_memory if is_cuda else None)


def _state(encoded: Encoded, layer: Layer) -> Tensor:
    if layer != "last":
        return encoded.hidden_states[layer]
    assert encoded.last is not None
    return encoded.last


def _stacked(states: Sequence[Tensor]) -> Tensor:
    """Stack states (frames, dim) into (layers, frames, dim); a single state is not copied."""
    return states[0][None] if len(states) == 1 else torch.stack(list(states))


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of torch, Python, a CPU allocator, cuBLAS or cuDNN means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY)
