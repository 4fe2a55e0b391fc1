"""Sums over the speech of a recording in hops of 0.4 s, and the speaker embeddings of stretches of hops."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio.activity import loud_frames
from sonant.decoding.speaker_clustering import Vectors
from sonant.extraction.head_store import Heads, is_ecapa
from sonant.extraction.heads import CPU, samples_for, states_of
from sonant.extraction.request import Layer
from sonant.extraction.sources import Source
from sonant.extraction.speaker_embeddings import (
    ECAPAEmbeddings,
    HeadEmbeddings,
    SpeakerEmbeddings,
    StateEmbeddings,
    around,
)
from sonant.models import Backbone
from sonant.models.families import presets_of
from sonant.tasks import ECAPAHead, XVectorHead

HOP_SECONDS = 0.4
LEAST_SPEECH_SECONDS = 0.4  # in a window with an embedding


class SpeechSums:
    """Sums of the frames of every 0.4 s that are loud enough to be speech; an hour takes 55 to 110 MB.

    An ECAPA-TDNN keeps the frames themselves, and pauses too, see `ECAPAEmbeddings`.

    Args:
        embeddings: the kind of speaker embedding.
        source: the recording, which is also read for its loudness.
        stride: samples per frame.

    Attributes:
        counts: per hop: number of speech frames.
        frame_rate: frames per second.
        heard: number of frames received.
        hop: frames per hop.
    """

    def __init__(self, embeddings: SpeakerEmbeddings, source: Source, *, stride: int, sampling_rate: int) -> None:
        self._kind, self._source = embeddings, source
        self._stride, self._sampling_rate = stride, sampling_rate
        self.frame_rate = sampling_rate / stride
        self.hop = max(1, round(HOP_SECONDS * self.frame_rate))
        self._speech: NDArray[np.bool_] | None = None
        self.heard = self._summed = 0  # frames received from the model, frames of embeddings summed
        self.counts: list[int] = []

    @property
    def name(self) -> str:
        """The name of the recording."""
        return self._source.name

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        """Add states (layers, frames, dim)."""
        self.heard += frames.shape[1]
        found = self._kind.frames(frames).cpu().numpy()
        numbers = self._summed + self._kind.delay + np.arange(len(found))
        self._summed += len(found)
        loud, hops = self.loud(numbers), numbers // self.hop
        for hop in np.unique(hops):
            here = hops == hop
            self._add(int(hop), found[here], loud[here])

    def loud(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each of these frames, by index, is loud enough to be speech."""
        if self._speech is None:
            blocks = self._source.blocks()
            self._speech = loud_frames(blocks, frame_samples=self._stride, sampling_rate=self._sampling_rate)
        known = frames < len(self._speech)
        return known & self._speech[np.where(known, frames, 0)] if len(self._speech) else known

    def embeddings(self, groups: NDArray[np.bool_]) -> Vectors:
        """Return the speaker embedding of each group of hops (groups, hops), which holds speech: (groups, dim)."""
        return self._kind.of_groups(groups)

    def windows(self) -> tuple[NDArray[np.int64], Vectors]:
        """Return the hops whose windows of two seconds have enough speech, and the windows' embeddings.

        The embeddings are for comparisons within this recording.
        """
        counts = np.array(self.counts, dtype=np.float64)
        if not counts.any():
            return np.zeros(0, dtype=np.int64), np.zeros((0, 0))
        heard = around(counts[:, None])[:, 0]
        centers = np.flatnonzero((counts > 0) & (heard >= LEAST_SPEECH_SECONDS * self.frame_rate))
        if not len(centers):
            centers = np.array([int(heard.argmax())])
        return centers, self._kind.of_windows(centers)

    def _add(self, hop: int, rows: NDArray[np.float32], loud: NDArray[np.bool_]) -> None:
        self.counts += [0] * (hop + 1 - len(self.counts))
        self.counts[hop] += int(loud.sum())
        self._kind.add(hop, rows, loud)

    def clear(self) -> None:
        """Free the memory."""
        self.counts.clear()
        self._kind.clear()


def embeddings_of(
    model: Backbone, heads: Heads, name: str
) -> tuple[tuple[Layer, ...], Callable[[], SpeakerEmbeddings], int]:
    """Return the states that a model's speaker embedding is computed from, a maker of its kind, and the least samples.

    The x-vector head if there is one, else means of the state of the preset "speaker".
    """
    if is_ecapa(heads):
        ecapa_on = heads.placing("xvector", ECAPAHead)
        mix, least = ecapa_on(CPU).mix, samples_for(ecapa_on(CPU).min_frames, None, model)
        return states_of(mix, model, name), partial(ECAPAEmbeddings, ecapa_on), least
    if "xvector" in heads.stored:
        head_on = heads.placing("xvector", XVectorHead)
        head = head_on(CPU)
        least = samples_for(head.min_frames, None, model)
        return states_of(head.mix, model, name), partial(HeadEmbeddings, head_on), least
    return (presets_of(model)["speaker"].layer,), StateEmbeddings, model.receptive_field


def voice_fingerprint(model: Backbone, heads: Heads, *, weights: str) -> str:
    """Return a short text that is equal for models whose speaker embeddings may be compared.

    `weights`: fingerprint of the model.
    """
    if "xvector" in heads.stored:
        return f"{weights}, heads {heads.fingerprint()}"
    return f"{weights}, layer {presets_of(model)['speaker'].layer}"
