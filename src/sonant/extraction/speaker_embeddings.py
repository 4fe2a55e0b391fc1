"""Kinds of speaker embeddings of stretches of speech, gathered in hops of a recording."""

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.speaker_clustering import Vectors, normalize_within_class
from sonant.extraction.ecapa_vectors import ECAPAOn, embed_stretches
from sonant.extraction.finiteness import require_finite
from sonant.extraction.heads import one_clip
from sonant.extraction.speaker_vectors import HeadOn, OverTime

HOPS_A_WINDOW = 5  # odd: a window is centered on its hop


class SpeakerEmbeddings(Protocol):
    """Speech of one recording in hops, and the speaker embeddings of its stretches, comparable between recordings."""

    def frames(self, states: Tensor) -> Tensor:
        """Map states (layers, frames, dim) to frames (frames, width), in order; the last may come with a later call."""

    @property
    def delay(self) -> int:
        """The index of the recording's frame on which the first of these is centered."""

    def add(self, hop: int, frames: NDArray[np.float32], loud: NDArray[np.bool_]) -> None:
        """Add frames (frames, width) of a hop, and whether each is loud enough to be speech (frames,)."""

    def of_groups(self, groups: NDArray[np.bool_]) -> Vectors:
        """Return the embeddings of groups of hops (groups, hops), each of which holds speech: (groups, dim)."""

    def of_windows(self, centers: NDArray[np.int64]) -> Vectors:
        """Return the embeddings of the windows around hops, which hold speech: (windows, dim).

        They have the form that separates the speakers of the recording best.
        """

    def clear(self) -> None:
        """Free the memory."""


class _SumEmbeddings(ABC):
    """Embeddings that are functions of sums over frames and over their squares."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._sums: list[NDArray[np.float32]] = []
        self._squares: list[NDArray[np.float32]] = []

    def add(self, hop: int, frames: NDArray[np.float32], loud: NDArray[np.bool_]) -> None:
        frames = frames[loud]
        while len(self._counts) <= hop:
            self._counts.append(0)
            self._sums.append(np.zeros(frames.shape[1], np.float32))
            self._squares.append(np.zeros(frames.shape[1], np.float32))
        self._counts[hop] += len(frames)
        self._sums[hop] += frames.sum(0)
        self._squares[hop] += np.square(frames).sum(0)

    def of_groups(self, groups: NDArray[np.bool_]) -> Vectors:
        chosen = groups.astype(np.float64)
        sums, squares = (np.stack(rows).astype(np.float64) for rows in (self._sums, self._squares))
        return self._embeddings(chosen @ np.array(self._counts), chosen @ sums, chosen @ squares)

    def of_windows(self, centers: NDArray[np.int64]) -> Vectors:
        counts = around(np.array(self._counts, dtype=np.float64)[:, None])[centers, 0]
        return self._embeddings(counts, around(np.stack(self._sums))[centers], around(np.stack(self._squares))[centers])

    @abstractmethod
    def _embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:
        """Compute embeddings (stretches, dim) of numbers of frames (stretches,), and sums (stretches, width)."""

    def clear(self) -> None:
        self._counts.clear()
        self._sums.clear()
        self._squares.clear()


class StateEmbeddings(_SumEmbeddings):
    """Means of a hidden state.

    Within-class covariance normalization suppresses changes of content where speakers of one recording are separated.
    """

    delay = 0

    def frames(self, states: Tensor) -> Tensor:
        return states[0]

    def of_windows(self, centers: NDArray[np.int64]) -> Vectors:
        counts = np.array(self._counts, dtype=np.float64)
        spoken = counts > 0
        hops = (np.stack(self._sums)[spoken] / counts[spoken, None]).astype(np.float64)
        return normalize_within_class(super().of_windows(centers), np.diff(hops, axis=0))

    def _embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:  # noqa: ARG002
        means: Vectors = sums / counts[:, None]
        return means


class HeadEmbeddings(_SumEmbeddings):
    """Embeddings of an x-vector head with statistics over time."""

    def __init__(self, head_on: HeadOn) -> None:
        super().__init__()
        self._head = head_on(torch.device("cpu"))
        self._over_time = OverTime(head_on)

    @property
    def delay(self) -> int:
        return self._head.context // 2

    def frames(self, states: Tensor) -> Tensor:
        return self._over_time(states)

    @torch.no_grad()
    def _embeddings(self, counts: Vectors, sums: Vectors, squares: Vectors) -> Vectors:
        counts = counts[:, None]
        means = sums / counts
        deviations = np.sqrt(np.maximum(squares - counts * means**2, 0) / np.maximum(counts - 1, 1))
        vectors = self._head.embed(torch.from_numpy(means).float(), torch.from_numpy(deviations).float())
        return require_finite(vectors, "x-vector").double().numpy()


class ECAPAEmbeddings:
    """Embeddings of an ECAPA-TDNN, which is applied to the frames of each stretch, one behind another.

    Pauses stay in, as in its training: its layers see neighboring frames, and its pooling weighs them. All frames are
    kept: those of an hour take 0.55 GB with a model of width 768.
    """

    delay = 0

    def __init__(self, head_on: ECAPAOn) -> None:
        self._head_on, self._device = head_on, torch.device("cpu")
        self._hops: list[list[NDArray[np.float32]]] = []

    def frames(self, states: Tensor) -> Tensor:
        self._device = states.device
        return self._head_on(states.device).mix(one_clip(states)).values

    def add(self, hop: int, frames: NDArray[np.float32], loud: NDArray[np.bool_]) -> None:  # noqa: ARG002
        while len(self._hops) <= hop:
            self._hops.append([])
        self._hops[hop].append(frames)

    def of_groups(self, groups: NDArray[np.bool_]) -> Vectors:
        stretches = (np.concatenate([rows for hop in np.flatnonzero(group) for rows in self._hops[hop]])
                     for group in groups)  # fmt: skip
        return embed_stretches(self._head_on(self._device), stretches, self._device)

    def of_windows(self, centers: NDArray[np.int64]) -> Vectors:
        reach = HOPS_A_WINDOW // 2
        stretches = (
            np.concatenate([rows for hop in self._hops[max(0, at - reach) : at + reach + 1] for rows in hop])
            for at in centers.tolist()
        )
        return embed_stretches(self._head_on(self._device), stretches, self._device)

    def clear(self) -> None:
        self._hops.clear()


def around(hops: NDArray[np.floating]) -> Vectors:
    """Return the sums over the window around each hop (hops, width)."""
    reach = HOPS_A_WINDOW // 2
    padded = np.pad(hops.astype(np.float64), ((reach, reach), (0, 0)))
    return np.sum([padded[at : at + len(hops)] for at in range(HOPS_A_WINDOW)], axis=0)
