"""Speech activity detection by loudness."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LOUDEST_PERCENT = 95  # quantile of the frames that is the loudness of speech
QUIETEST_PERCENT = 10  # quantile that is the noise floor
MOST_DECIBELS_BELOW = 30.0
SHARE_OF_RANGE = 0.6  # of the distance from speech to noise floor, by which speech may be softer
LEAST_DECIBELS_BELOW = 3.0  # of a sound as steady as a sung vowel, whose noise floor is the sound itself
LONGEST_GAP_SECONDS = 0.3
SHORTEST_SPEECH_SECONDS = 0.1
SILENCE_DECIBELS = -70.0  # below full scale: silence


def loud_frames(blocks: Iterable[NDArray[np.float32]], *, frame_samples: int, sampling_rate: int) -> NDArray[np.bool_]:
    """Return whether each frame of `frame_samples` is loud enough to be speech: (frames,), without a last short frame.

    The threshold is 30 dB below the loudest frames, or closer with background noise. Gaps of up to 0.3 s are filled,
    and stretches below 0.1 s are dropped.
    """
    decibels = loudness(blocks, frame_samples)
    if not len(decibels):
        return np.zeros(0, dtype=np.bool_)
    loud = decibels >= speech_bar(decibels, most_below=MOST_DECIBELS_BELOW, share=SHARE_OF_RANGE)
    rate = sampling_rate / frame_samples
    loud = _without_runs(loud, of=False, up_to=round(LONGEST_GAP_SECONDS * rate), inner=True)
    return _without_runs(loud, of=True, up_to=round(SHORTEST_SPEECH_SECONDS * rate) - 1, inner=False)


def loudness(blocks: Iterable[NDArray[np.float32]], frame_samples: int) -> NDArray[np.float64]:
    """Return the energy of each frame of `frame_samples` in decibels: (frames,), without a last short frame."""
    energies, rest = [], np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate([rest, block])
        count = len(held) // frame_samples
        frames = held[: count * frame_samples].reshape(count, frame_samples)
        energies.append(np.square(frames.astype(np.float64)).mean(1))
        rest = held[count * frame_samples :]
    return 10 * np.log10((np.concatenate(energies) if energies else np.empty(0)) + 1e-12)


def speech_bar(decibels: NDArray[np.float64], *, most_below: float, share: float) -> float:
    """Return the least decibels of speech, for at least one frame.

    It is `most_below` under the loudest frames, or, with background noise, `share` of the way from these to the noise,
    but at least 3 dB.
    """
    speech, room = np.percentile(decibels, [LOUDEST_PERCENT, QUIETEST_PERCENT])
    below = np.clip(share * (speech - room), LEAST_DECIBELS_BELOW, most_below)
    return float(max(SILENCE_DECIBELS, speech - below))


def _without_runs(column: NDArray[np.bool_], *, of: bool, up_to: int, inner: bool) -> NDArray[np.bool_]:
    """Invert the runs of a value that are at most `up_to` long; with `inner`, not those at the ends."""
    edges = np.flatnonzero(column[1:] != column[:-1]) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(column))
    result = column.copy()
    for start, end in zip(starts, ends, strict=True):
        at_the_end = start == 0 or end == len(column)
        if column[start] == of and end - start <= up_to and not (inner and at_the_end):
            result[start:end] = not of
    return result
