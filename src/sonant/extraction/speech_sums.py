"""Sums over the speech of a recording in hops of 0.4 s, and the speaker embeddings of stretches of hops."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio.activity import loud_frames
from sonant.decoding.speaker_clustering import Vectors, normalize_within_class
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, samples_for, states_of
from sonant.extraction.request import Layer
from sonant.extraction.sources import Source
from sonant.extraction.speaker_vectors import HeadOn, OverTime
from sonant.models import Backbone
from sonant.models.families import presets
from sonant.tasks import XVectorHead

HOP_SECONDS = 0.4
HOPS_A_WINDOW = 5  # odd: a window is centered on its hop
LEAST_SPEECH_SECONDS = 0.4  # in a window with an embedding


class SpeakerEmbeddings(Protocol):
    """A kind of speaker embedding, computed from sums over frames."""

    def frames(self, states: Tensor) -> Tensor:
        """Map states (layers, frames, dim) to frames (frames, width), in order; the last may come with a later call."""

    @property
    def delay(self) -> int:
        """The index of the recording's frame on which the first of these is centered."""

    def embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:
        """Return the embeddings of stretches of speech (stretches, dim), comparable between recordings.

        Args:
            counts: frames of each stretch (stretches,).
            sums, squares: sums of the frames and of their squares (stretches, width).
        """

    def contrasted(self, embeddings: Vectors, hops: Vectors) -> Vectors:
        """Return embeddings (stretches, dim) of one recording in a form that separates its speakers best.

        Args:
            hops: means of consecutive hops (hops, width).
        """


class StateEmbeddings:
    """Means of a hidden state.

    Within-class covariance normalization suppresses changes of content where speakers of one recording are separated.
    """

    delay = 0

    def frames(self, states: Tensor) -> Tensor:
        return states[0]

    def embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:  # noqa: ARG002
        means: Vectors = sums / counts[:, None]
        return means

    def contrasted(self, embeddings: Vectors, hops: Vectors) -> Vectors:
        return normalize_within_class(embeddings, np.diff(hops, axis=0))


class HeadEmbeddings:
    """Embeddings of an x-vector head."""

    def __init__(self, head_on: HeadOn) -> None:
        self._head = head_on(torch.device("cpu"))
        self._over_time = OverTime(head_on)

    @property
    def delay(self) -> int:
        return self._head.context // 2

    def frames(self, states: Tensor) -> Tensor:
        return self._over_time(states)

    @torch.no_grad()
    def embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:
        counts = counts[:, None]
        means = sums / counts
        deviations = np.sqrt(np.maximum(squares - counts * means**2, 0) / np.maximum(counts - 1, 1))
        vectors = self._head.embed(torch.from_numpy(means).float(), torch.from_numpy(deviations).float())
        return require_finite(vectors, "x-vector").double().numpy()

    def contrasted(self, embeddings: Vectors, hops: Vectors) -> Vectors:  # noqa: ARG002
        return embeddings


class SpeechSums:
    """Sums of the frames of every 0.4 s that are loud enough to be speech; an hour takes 55 to 110 MB.

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
        self._sums: list[NDArray[np.float32]] = []
        self._squares: list[NDArray[np.float32]] = []

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        """Add states (layers, frames, dim)."""
        self.heard += frames.shape[1]
        found = self._kind.frames(frames).cpu().numpy()
        numbers = self._summed + self._kind.delay + np.arange(len(found))
        self._summed += len(found)
        loud, hops = self.loud(numbers), numbers // self.hop
        for hop in np.unique(hops):
            self._add(int(hop), found[loud & (hops == hop)])

    def loud(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each of these frames, by index, is loud enough to be speech."""
        if self._speech is None:
            blocks = self._source.blocks()
            self._speech = loud_frames(blocks, frame_samples=self._stride, sampling_rate=self._sampling_rate)
        known = frames < len(self._speech)
        return known & self._speech[np.where(known, frames, 0)] if len(self._speech) else known

    def embeddings(self, groups: NDArray[np.bool_]) -> Vectors:
        """Return the speaker embedding of each group of hops (groups, hops), which holds speech: (groups, dim)."""
        chosen = groups.astype(np.float64)
        sums, squares = (np.stack(rows).astype(np.float64) for rows in (self._sums, self._squares))
        return self._kind.embeddings(chosen @ np.array(self.counts), chosen @ sums, chosen @ squares)

    def windows(self) -> tuple[NDArray[np.int64], Vectors]:
        """Return the hops whose windows of two seconds have enough speech, and the windows' embeddings.

        The embeddings are `contrasted`, for comparisons within this recording.
        """
        counts = np.array(self.counts, dtype=np.float64)
        if not counts.any():
            return np.zeros(0, dtype=np.int64), np.zeros((0, 0))
        sums, squares = np.stack(self._sums), np.stack(self._squares)
        around = _around(counts[:, None])[:, 0]
        centers = np.flatnonzero((counts > 0) & (around >= LEAST_SPEECH_SECONDS * self.frame_rate))
        if not len(centers):
            centers = np.array([int(around.argmax())])
        spoken = counts > 0
        hops = (sums[spoken] / counts[spoken, None]).astype(np.float64)
        found = self._kind.embeddings(around[centers], _around(sums)[centers], _around(squares)[centers])
        return centers, self._kind.contrasted(found, hops)

    def _add(self, hop: int, rows: NDArray[np.float32]) -> None:
        while len(self.counts) <= hop:
            self.counts.append(0)
            self._sums.append(np.zeros(rows.shape[1], np.float32))
            self._squares.append(np.zeros(rows.shape[1], np.float32))
        self.counts[hop] += len(rows)
        self._sums[hop] += rows.sum(0)
        self._squares[hop] += np.square(rows).sum(0)

    def clear(self) -> None:
        """Free the memory."""
        self.counts.clear()
        self._sums.clear()
        self._squares.clear()


def _around(hops: NDArray[np.floating]) -> Vectors:
    """Return the sums over the window around each hop (hops, width)."""
    reach = HOPS_A_WINDOW // 2
    padded = np.pad(hops.astype(np.float64), ((reach, reach), (0, 0)))
    return np.sum([padded[at : at + len(hops)] for at in range(HOPS_A_WINDOW)], axis=0)


def embeddings_of(
    model: Backbone, heads: Heads, name: str
) -> tuple[tuple[Layer, ...], Callable[[], SpeakerEmbeddings], int]:
    """Return the states that a model's speaker embedding is computed from, a maker of its kind, and the least samples.

    The x-vector head if there is one, else means of the state of the preset "speaker".
    """
    if "xvector" in heads.stored:
        head_on = heads.placing("xvector", XVectorHead)
        head = head_on(CPU)
        least = samples_for(head.min_frames, None, model)
        return states_of(head.mix, model, name), partial(HeadEmbeddings, head_on), least
    return (presets(model.config)["speaker"].layer,), StateEmbeddings, model.receptive_field


def voice_fingerprint(model: Backbone, heads: Heads, *, weights: str) -> str:
    """Return a short text that is equal for models whose speaker embeddings may be compared.

    `weights`: fingerprint of the model.
    """
    if "xvector" in heads.stored:
        return f"{weights}, heads {heads.fingerprint()}"
    return f"{weights}, layer {presets(model.config)['speaker'].layer}"
