"""Diarization by agglomerative clustering of speaker embeddings.

Each window of two seconds has an embedding, computed from the frames that are loud enough to be speech. Where two
speakers overlap, only one of them is found.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio.activity import loud_frames
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_clustering import Vectors, cluster, normalize_within_class
from sonant.decoding.speaker_turns import turns
from sonant.extraction.finiteness import require_finite
from sonant.extraction.sources import Source
from sonant.extraction.speaker_vectors import HeadOn, OverTime

HOP_SECONDS = 0.4
HOPS_A_WINDOW = 5  # odd: a window is centered on its hop
LEAST_SPEECH_SECONDS = 0.4  # in a window with an embedding


class Voices(Protocol):
    """A kind of speaker embedding, computed from sums over frames."""

    def frames(self, states: Tensor) -> Tensor:
        """Map states (layers, frames, dim) to frames (frames, width), in order; the last may come with a later call."""

    @property
    def delay(self) -> int:
        """The index of the recording's frame on which the first of these is centered."""

    def vectors(self, counts: Vectors, sums: Vectors, squares: Vectors, hops: Vectors) -> Vectors:
        """Return the embeddings of windows (windows, dim).

        Args:
            counts: frames of each window (windows,).
            sums, squares: sums of the frames and of their squares (windows, width).
            hops: means of consecutive hops (hops, width).
        """


class StateVoices:
    """Means of a hidden state after within-class covariance normalization, which suppresses changes of content."""

    delay = 0

    def frames(self, states: Tensor) -> Tensor:
        return states[0]

    def vectors(self, counts: Vectors, sums: Vectors, squares: Vectors, hops: Vectors) -> Vectors:  # noqa: ARG002
        return normalize_within_class(sums / counts[:, None], np.diff(hops, axis=0))


class HeadVoices:
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
    def vectors(self, counts: Vectors, sums: Vectors, squares: Vectors, hops: Vectors) -> Vectors:  # noqa: ARG002
        counts = counts[:, None]
        means = sums / counts
        deviations = np.sqrt(np.maximum(squares - counts * means**2, 0) / np.maximum(counts - 1, 1))
        vectors = self._head.embed(torch.from_numpy(means).float(), torch.from_numpy(deviations).float())
        return require_finite(vectors, "x-vector").double().numpy()


class SpeakerClusterSink:
    """A sink that keeps sums over the frames of every 0.4 s; an hour takes 55 to 110 MB.

    Args:
        voices: the kind of speaker embedding.
        source: the recording, which is also read for its loudness.
        stride: samples per frame.
        num_speakers, threshold: as in `cluster`.
    """

    def __init__(
        self,
        voices: Voices,
        source: Source,
        *,
        stride: int,
        sampling_rate: int,
        num_speakers: int | None,
        threshold: float | None,
    ) -> None:
        self._voices, self._source = voices, source
        self._stride, self._sampling_rate = stride, sampling_rate
        self._num_speakers, self._threshold = num_speakers, threshold
        self._hop = max(1, round(HOP_SECONDS * sampling_rate / stride))  # frames
        self._speech: NDArray[np.bool_] | None = None
        self._heard = self._summed = 0  # frames received from the model, frames of `voices` summed
        self._counts: list[int] = []  # per hop: number of loud frames, their sum, sum of squares
        self._sums: list[NDArray[np.float32]] = []
        self._squares: list[NDArray[np.float32]] = []

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        self._heard += frames.shape[1]
        found = self._voices.frames(frames).cpu().numpy()
        numbers = self._summed + self._voices.delay + np.arange(len(found))
        self._summed += len(found)
        loud, hops = self._loud(numbers), numbers // self._hop
        for hop in np.unique(hops):
            self._add(int(hop), found[loud & (hops == hop)])

    def _loud(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each of these frames, by index, is loud enough to be speech."""
        if self._speech is None:
            blocks = self._source.blocks()
            self._speech = loud_frames(blocks, frame_samples=self._stride, sampling_rate=self._sampling_rate)
        known = frames < len(self._speech)
        return known & self._speech[np.where(known, frames, 0)] if len(self._speech) else known

    def _add(self, hop: int, rows: NDArray[np.float32]) -> None:
        while len(self._counts) <= hop:
            self._counts.append(0)
            self._sums.append(np.zeros(rows.shape[1], np.float32))
            self._squares.append(np.zeros(rows.shape[1], np.float32))
        self._counts[hop] += len(rows)
        self._sums[hop] += rows.sum(0)
        self._squares[hop] += np.square(rows).sum(0)

    def finish(self) -> list[SpeakerTurn]:
        frame_rate = self._sampling_rate / self._stride
        centers, vectors = self._vectors(least=LEAST_SPEECH_SECONDS * frame_rate)
        if not len(centers):
            return []
        speakers = cluster(vectors, num_speakers=self._num_speakers, threshold=self._threshold)
        frames = np.arange(self._heard)
        halfway = (centers[1:] + centers[:-1]) / 2
        nearest = np.searchsorted(halfway, frames // self._hop)  # (frames,)
        speaking = speakers[nearest][:, None] == np.arange(speakers.max() + 1)
        return turns(speaking & self._loud(frames)[:, None], frame_rate=frame_rate)

    def _vectors(self, *, least: float) -> tuple[NDArray[np.int64], Vectors]:
        """Return the hops whose windows have enough speech, and their embeddings."""
        counts = np.array(self._counts, dtype=np.float64)
        if not counts.any():
            return np.zeros(0, dtype=np.int64), np.zeros((0, 0))
        sums, squares = np.stack(self._sums), np.stack(self._squares)
        around = _around(counts[:, None])[:, 0]
        centers = np.flatnonzero((counts > 0) & (around >= least))
        if not len(centers):
            centers = np.array([int(around.argmax())])
        spoken = counts > 0
        hops = sums[spoken] / counts[spoken, None]
        return centers, self._voices.vectors(
            around[centers], _around(sums)[centers], _around(squares)[centers], hops.astype(np.float64)
        )

    def abandon(self) -> None:
        self._counts.clear()
        self._sums.clear()
        self._squares.clear()


def _around(hops: NDArray[np.floating]) -> Vectors:
    """Return the sums over the window around each hop (hops, width)."""
    reach = HOPS_A_WINDOW // 2
    padded = np.pad(hops.astype(np.float64), ((reach, reach), (0, 0)))
    return np.sum([padded[at : at + len(hops)] for at in range(HOPS_A_WINDOW)], axis=0)
