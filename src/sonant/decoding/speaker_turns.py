"""Speaker turns from the probability of each speaker in each frame."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.results import SpeakerTurn

THRESHOLD = 0.5
MEDIAN_SECONDS = 0.22  # 11 frames of 20 ms, as in EEND
MIN_TURN_SECONDS = 0.1
ANONYMOUS = re.compile(r"(channel_\d+_)?speaker_\d+", re.ASCII)  # speakers without a name


def turns(
    activity: NDArray[np.floating] | NDArray[np.bool_],
    *,
    frame_rate: float,
    threshold: float = THRESHOLD,
    median_seconds: float = MEDIAN_SECONDS,
    min_turn_seconds: float = MIN_TURN_SECONDS,
    names: Sequence[str | None] | None = None,
) -> list[SpeakerTurn]:
    """Convert speaker activity (frames, speakers), probabilities or booleans, to turns in order of their start.

    Args:
        threshold: probability above which a speaker counts as active.
        median_seconds: length of the median filter, which removes single frames.
        min_turn_seconds: shorter turns are dropped.
        names: of the speakers that are known; None for each of the others.
    """
    speaks = median(np.asarray(activity) > threshold, round(median_seconds * frame_rate))
    found = [
        (start / frame_rate, end / frame_rate, speaker)
        for speaker, column in enumerate(speaks.T)
        for start, end in runs(column)
        if (end - start) / frame_rate >= min_turn_seconds
    ]
    found.sort()
    order = list(dict.fromkeys(speaker for _, _, speaker in found))
    known = {speaker: name for speaker, name in enumerate(names or ()) if name is not None}
    return [
        SpeakerTurn(known.get(speaker, f"speaker_{order.index(speaker)}"), start, end) for start, end, speaker in found
    ]


def median(speaks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Median filter of (frames, speakers) over `width` frames (rounded up to odd); fewer at the edges."""
    reach = width // 2
    frames = len(speaks)
    sums = np.concatenate([np.zeros((1, speaks.shape[1]), dtype=np.int64), np.cumsum(speaks, axis=0)])
    first = np.maximum(np.arange(frames) - reach, 0)
    end = np.minimum(np.arange(frames) + reach + 1, frames)
    yes, all_ = sums[end] - sums[first], (end - first)[:, None]
    return np.where(2 * yes == all_, speaks, 2 * yes > all_)


def runs(column: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return starts and ends (excluded) of the stretches in which (frames,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def matching_speakers(before: NDArray[np.floating], now: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the order of the columns of `now` that matches the speakers of `before`; both (frames, speakers).

    Both are of the same frames, those that two windows share. The permutation minimizes the sum of absolute
    differences of the probabilities.
    """
    from scipy.optimize import linear_sum_assignment

    distance = np.abs(before[:, :, None] - now[:, None, :]).sum(0)  # (speakers before, speakers now)
    order: NDArray[np.int64] = linear_sum_assignment(distance)[1]
    return order


def on_channel(turns: Iterable[SpeakerTurn], channel: int) -> list[SpeakerTurn]:
    """Prefix unknown speakers with their channel, "channel_0_speaker_0" ...: none of them is on two channels."""
    return [
        replace(turn, speaker=f"channel_{channel}_{turn.speaker}") if ANONYMOUS.fullmatch(turn.speaker) else turn
        for turn in turns
    ]


def speakers_in(turns: Sequence[SpeakerTurn]) -> list[str]:
    """The distinct speakers in order of first appearance."""
    return list(dict.fromkeys(turn.speaker for turn in turns))
