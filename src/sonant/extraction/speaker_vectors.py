"""Speaker embedding of a recording by an x-vector head, computed from blocks of frames."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.extraction.adapter_sink import AdapterSink
from sonant.extraction.ecapa_vectors import ECAPAVectorSink
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads, is_ecapa
from sonant.extraction.heads import CPU, HeadPipeline, adapter_before, one_clip, require, samples_for, states_of
from sonant.extraction.pooling import RunningPool
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.inference.cuda.exact_float32 import exact_float32
from sonant.layers.packed import require_steps
from sonant.models import Backbone
from sonant.tasks import ECAPAHead, XVectorHead

HeadOn = Callable[[torch.device], XVectorHead]


class OverTime:
    """A head's convolutions over time on blocks of frames, with the same result as on all frames at once.

    The last frames of a block are kept as context for the next.
    """

    def __init__(self, head_on: HeadOn) -> None:
        self._head_on = head_on
        self._held: Tensor | None = None

    def __call__(self, frames: Tensor) -> Tensor:
        """Return the output frames (frames, width) that are complete after the next states (layers, frames, dim)."""
        head = self._head_on(frames.device)
        projected = head.project(one_clip(frames)).values
        if self._held is not None:
            projected = torch.cat([self._held, projected])
        self._held = projected[max(0, len(projected) - head.context) :]
        if len(projected) <= head.context:
            return projected.new_empty(0, head.embedding.in_features // 2)
        with exact_float32():  # of convolutions on a GPU
            return head.over_time(projected)


class SpeakerVectorSink:
    """A sink that computes the speaker embedding, float32 (dim,), in constant memory."""

    def __init__(self, head_on: HeadOn) -> None:
        self._head_on = head_on
        self._over_time = OverTime(head_on)
        self._pool = RunningPool("mean+std")
        self._given, self._count = 0, 0  # frames, and those that the convolutions made of them

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        found = self._over_time(frames)
        self._given, self._count = self._given + frames.shape[1], self._count + len(found)
        self._pool.append(found[None])

    @torch.no_grad()
    def finish(self) -> NDArray[np.float32]:
        head = self._head_on(torch.device("cpu"))
        require_steps([self._given], head.min_frames, "the vector of a speaker")
        mean, deviation = self._pool.finish()[0].chunk(2)
        vector = head.embed(mean, deviation * (self._count / (self._count - 1)) ** 0.5)  # unbiased
        return require_finite(vector, "x-vector").numpy()

    def abandon(self) -> None:
        pass


def verification(model: Backbone, heads: Heads, *, name: str) -> HeadPipeline[NDArray[np.float32]]:
    """Return the pipeline of the x-vector head; its answer is float32 (dim,). Raises ConfigurationError without one."""
    require("verification", heads, name)
    if is_ecapa(heads):
        ecapa_on = heads.placing("xvector", ECAPAHead)
        ecapa = ecapa_on(CPU)
        least = samples_for(ecapa.min_frames, None, model)
        return HeadPipeline(states_of(ecapa.mix, model, name), lambda _: ECAPAVectorSink(ecapa_on), least)
    head_on = heads.placing("xvector", XVectorHead)
    mix, needed = head_on(CPU).mix, head_on(CPU).min_frames
    adapter = adapter_before(mix, model)

    def make_sink(_source: Source) -> Sink:
        sink = SpeakerVectorSink(head_on)
        return sink if adapter is None else AdapterSink(adapter.on, sink)

    return HeadPipeline(states_of(mix, model, name, adapted=True), make_sink, samples_for(needed, adapter, model))
