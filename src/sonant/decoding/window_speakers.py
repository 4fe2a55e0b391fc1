"""Speakers of successive windows of a recording: who of a window is who of the windows before.

A model numbers the speakers of each window as it likes. Those who are heard in the frames that two windows share are
known by them. The others are known by their voices, means of states over the frames in which one speaks alone:

    similarity(k, j) = cosine(v_k - c, w_j - c),    c = mean of the voices of all people of both

where v_k is the voice of a speaker k of the windows before, and w_j that of a speaker j of this one. For one person it
is near 1, and for voices that are all equally far apart -1 / (people - 1). While the model distinguishes more speakers
than were heard, one whose similarity is below half of this to every voice before is a new speaker.
"""

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.speaker_turns import matching_speakers

LEAST_SHARED_SECONDS = 0.2  # of speech in both windows, by which a speaker is known
LEAST_VOICE_SECONDS = 0.5  # of speech without others
Vectors = NDArray[np.float64]


class WindowSpeakers:
    """The speakers of the windows so far: a recording has as many places as the model distinguishes speakers.

    Args:
        threshold: probability from which a speaker is active.
        frame_rate: frames per second.
    """

    def __init__(self, *, threshold: float, frame_rate: float) -> None:
        self._threshold, self._frame_rate = threshold, frame_rate
        self._before: tuple[int, NDArray[np.floating]] | None = None  # index of its first frame, activity by place
        self._sums: Vectors = np.zeros((0, 0))  # (places, dim), over frames of one speaker alone
        self._counts: Vectors = np.zeros(0)
        self._is_taken: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)  # places that have been active

    def order(self, first: int, activity: NDArray[np.floating], states: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the column of the activity of a window for each place.

        Args:
            first: number of the window's first frame in the recording.
            activity: probabilities (frames, speakers).
            states: from which voices are computed, (frames, dim).
        """
        active = activity >= self._threshold
        is_heard: NDArray[np.bool_] = np.asarray(active.any(0))
        alone = (active & (active.sum(1, keepdims=True) == 1)).astype(np.float64)
        sums, counts = alone.T @ states.astype(np.float64), alone.sum(0)
        if self._before is None:
            order = np.arange(activity.shape[1])
            self._sums, self._counts, self._is_taken = np.zeros_like(sums), np.zeros_like(counts), is_heard
        else:
            start, before = self._before
            shared = before[first - start :]
            order = matching_speakers(shared, activity[: len(shared)])
            both = (shared >= self._threshold) & active[: len(shared), order]
            is_known = both.sum(0) >= LEAST_SHARED_SECONDS * self._frame_rate
            order = self._by_voice(order, is_known, sums, counts)
            self._is_taken = self._is_taken | is_heard[order]
        self._sums, self._counts = self._sums + sums[order], self._counts + counts[order]
        self._before = first, activity[:, order]
        return order

    def _by_voice(
        self, order: NDArray[np.int64], is_known: NDArray[np.bool_], sums: Vectors, counts: Vectors
    ) -> NDArray[np.int64]:
        """Return the order with speakers who are not known by the shared frames in the places of their voices."""
        from scipy.optimize import linear_sum_assignment

        least = LEAST_VOICE_SECONDS * self._frame_rate
        rest, others = np.flatnonzero(~is_known), order[~is_known]
        old, new = rest[self._counts[rest] >= least], others[counts[others] >= least]
        if not len(old) or not len(new):
            return order
        known = np.flatnonzero(is_known & (self._counts + counts[order] >= least))
        people = [
            (self._sums[known] + sums[order[known]]) / (self._counts[known] + counts[order[known]])[:, None],
            self._sums[old] / self._counts[old][:, None],
            sums[new] / counts[new][:, None],
        ]
        similarity = np.ones((len(old), len(new)))  # of one voice before and one now nothing can be said
        number = sum(map(len, people))
        if number > 2:
            center = np.concatenate(people).mean(0)
            similarity = _unit(people[1] - center) @ _unit(people[2] - center).T
        free = list(rest[~self._is_taken[rest]])
        rows, columns = linear_sum_assignment(-similarity)
        placed: dict[int, int] = {}  # column by place
        for row, column in sorted(zip(rows, columns, strict=True), key=lambda pair: similarity[pair]):
            place = free.pop(0) if similarity[row, column] < -0.5 / (number - 1) and free else old[row]
            placed[int(place)] = int(new[column])
        left = [column for column in others if column not in placed.values()]
        unheard = [place for place in rest if place not in placed]
        unheard.sort(key=lambda place: bool(self._is_taken[place]))
        left.sort(key=lambda column: -counts[column])
        placed |= {int(place): int(column) for place, column in zip(unheard, left, strict=True)}
        result = order.copy()
        result[list(placed)] = list(placed.values())
        return result


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
