"""Diarization by agglomerative clustering of speaker embeddings.

Each window of two seconds has an embedding, computed from the frames that are loud enough to be speech. Where two
speakers overlap, only one of them is found.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.known_voices import KnownVoices
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_clustering import cluster
from sonant.decoding.speaker_turns import turns
from sonant.extraction.speech_sums import SpeechSums


class SpeakerClusterSink:
    """A sink that clusters the windows of a recording.

    Args:
        sums: of the recording.
        num_speakers, threshold: as in `cluster`.
        known: enrolled people, whose names the speakers get; None: none.
    """

    def __init__(
        self, sums: SpeechSums, *, num_speakers: int | None, threshold: float | None, known: KnownVoices | None = None
    ) -> None:
        self._sums, self._known = sums, known
        self._num_speakers, self._threshold = num_speakers, threshold

    def append(self, frames: Tensor) -> None:
        self._sums.append(frames)

    def finish(self) -> list[SpeakerTurn]:
        centers, vectors = self._sums.windows()
        if not len(centers):
            return []
        speakers = cluster(vectors, num_speakers=self._num_speakers, threshold=self._threshold)
        frames = np.arange(self._sums.heard)
        halfway = (centers[1:] + centers[:-1]) / 2

        def speaking(hops: NDArray[np.int64]) -> NDArray[np.bool_]:
            nearest = np.searchsorted(halfway, hops)
            activity: NDArray[np.bool_] = speakers[nearest][:, None] == np.arange(speakers.max() + 1)
            return activity

        activity = speaking(frames // self._sums.hop) & self._sums.loud(frames)[:, None]
        names = self._names(speaking(np.arange(len(self._sums.counts))))
        for column, name in enumerate(names):  # two clusters of one enrolled person are one speaker
            first = names.index(name)
            if name is not None and first != column:
                activity[:, first] |= activity[:, column]
                activity[:, column] = False
        return turns(activity, frame_rate=self._sums.frame_rate, names=names)

    def _names(self, hops: NDArray[np.bool_]) -> list[str | None]:
        """Return the name of each speaker of (hops, speakers); None for unknown ones."""
        counts = np.array(self._sums.counts) @ hops  # (speakers,)
        names: list[str | None] = [None] * len(counts)
        heard = np.flatnonzero(counts)
        if self._known is not None and len(heard):
            for speaker, name in zip(heard, self._known.names(self._sums.embeddings(hops.T[heard])), strict=True):
                names[speaker] = name
        return names

    def abandon(self) -> None:
        self._sums.clear()
