"""Enhancement and separation by a mask head: waveforms of the sources of a recording."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio import Window
from sonant.errors import ConfigurationError
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, one_clip, require, states_of
from sonant.extraction.sources import Source
from sonant.layers.frame_grid import FrameGrid
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.abilities import Ability
from sonant.tasks import MaskHead

Waveforms = NDArray[np.float32]  # (sources, samples)


class RecordingSamples:
    """The samples of a recording, read once from its beginning to its end.

    Args:
        blocks: the samples in blocks.
    """

    def __init__(self, blocks: Iterator[np.ndarray]) -> None:
        self._blocks = blocks
        self._held = np.zeros(0, dtype=np.float32)
        self._first = 0  # of the held samples

    def take(self, start: int, end: int) -> NDArray[np.float32]:
        """Return samples from `start` to `end`; those before `start` are forgotten."""
        parts = [self._held]
        known = self._first + len(self._held)
        while known < end:
            if (block := next(self._blocks, None)) is None:
                break
            parts.append(block)
            known += len(block)
        held = np.concatenate(parts)[start - self._first :]
        self._held, self._first = held, start
        return held[: end - start]


class SourceSink:
    """A sink that estimates the sources of a recording; its answer is float32 (sources, samples).

    The order of sources in a window is arbitrary. It is permuted for the best agreement with the previous window in the
    samples that both have, in which one estimate fades into the other.

    Args:
        head_on: returns the head on a device.
        source: the recording, whose samples are masked.
        grid: of the states.
    """

    def __init__(self, head_on: Callable[[torch.device], MaskHead], source: Source, grid: FrameGrid) -> None:
        self._head_on, self._source, self._grid = head_on, source, grid
        self._samples: RecordingSamples | None = None
        self._done: list[Waveforms] = []
        self._end = 0  # of the samples in them

    def append(self, frames: Tensor) -> None:
        self._done = [self._estimated(frames, self._source.read())]

    def append_window(self, states: Tensor, window: Window) -> None:
        """Add the estimates of a window to those before it."""
        if self._samples is None:
            self._samples = RecordingSamples(self._source.blocks())
        now = self._estimated(states, self._samples.take(window.start_sample, window.end_sample))
        shared = self._end - window.start_sample
        self._end = window.start_sample + now.shape[1]
        if self._done:
            if shared <= self._grid.receptive_field and len(now) > 1:
                raise ConfigurationError(
                    "Windows without overlap were asked for, in which the speakers have an order of their own in each. "
                    "Give overlap_seconds, such as a fifth of a window."
                )
            before = self._done[-1]
            self._done[-1], tail = before[:, : before.shape[1] - shared], before[:, before.shape[1] - shared :]
            now = now[matching_sources(tail, now[:, :shared])]
            fade = np.linspace(0, 1, shared, dtype=np.float32)
            now[:, :shared] = tail + fade * (now[:, :shared] - tail)
        self._done.append(now)

    def finish(self) -> Waveforms:
        return self._done[0] if len(self._done) == 1 else np.concatenate(self._done, axis=1)

    def abandon(self) -> None:
        self._done.clear()

    @torch.no_grad()
    def _estimated(self, states: Tensor, samples: NDArray[np.float32]) -> Waveforms:
        speech = Packed.pack([torch.from_numpy(np.ascontiguousarray(samples)).to(states.device)])
        found = self._head_on(states.device)(one_clip(states.float()), speech, self._grid).waveforms.values
        waveforms: Waveforms = require_finite(found, "mask").T.cpu().numpy().copy()
        return waveforms


def matching_sources(before: Waveforms, now: Waveforms) -> NDArray[np.int64]:
    """Return the order of the sources of `now` that is nearest to those of `before`, both (sources, samples)."""
    from scipy.optimize import linear_sum_assignment

    products = before.astype(np.float64) @ now.T.astype(np.float64)
    order: NDArray[np.int64] = linear_sum_assignment(-products)[1]
    return order


class SpeechSink(SourceSink):
    """A sink that estimates the speech of a recording; its answer is float32 (samples,)."""

    def finish(self) -> NDArray[np.float32]:
        return super().finish()[0]


def mask_pipeline(model: Backbone, heads: Heads, ability: Ability, *, name: str) -> HeadPipeline[NDArray[np.float32]]:
    """Return the pipeline of "enhancement", whose answer is (samples,), or "separation": (speakers, samples).

    Raises ConfigurationError: the model has no head for it.
    """
    require(ability, heads, name)
    head_on = heads.placing(ability, MaskHead)
    grid = FrameGrid(model.stride, model.receptive_field)
    make = SpeechSink if ability == "enhancement" else SourceSink
    return HeadPipeline(
        states_of(head_on(CPU).mix, model, name),
        lambda source: make(head_on, source, grid),
        model.receptive_field,
        reads_source=True,
    )
