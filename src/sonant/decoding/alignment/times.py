"""Times and scores of the lines, words and characters of a text, from the best path of its units.

CTC puts a unit on few frames, anywhere in the sound, and blanks on the others: a word would begin late and end early.
The frames between two words are therefore divided by loudness: a word lasts until the sound stops, and begins where it
starts again; without a pause, both meet in the quietest moment between them. Quiet at the ends of a word is not part of
it.
"""

from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.alignment.aligned_text import AlignedCharacter, AlignedSegment, AlignedWord, Alignment
from sonant.decoding.alignment.forced_path import ForcedPath
from sonant.decoding.alignment.spelled_text import SpelledText, SpelledWord

STAR_LOSS = 0.5  # nats that a frame of a star has less than the frame's most probable token
MATCH_SCORE = -2.0  # least score of a text that is taken to be what is said, see docs/alignment.md
LOUDNESS_RATE = 100  # frames per second of loudness
MOST_DECIBELS_BELOW, SHARE_OF_RANGE = 40.0, 0.8  # of speech, see `sonant.audio.activity.speech_bar`

Floats = NDArray[np.float64]


def align(
    path: ForcedPath,
    text: SpelledText,
    *,
    frame_rate: float,
    decibels: Floats,
    loud: NDArray[np.bool_],
    duration_seconds: float,
    normalization: str,
) -> Alignment:
    """Time a text by the best path of its units.

    Args:
        frame_rate: of the path.
        decibels, loud: (frames,) at `LOUDNESS_RATE`, loudness and whether it is that of speech.
        normalization: form in which the words were spelled, for the result.
    """
    owned = text.owners >= 0
    firsts = np.flatnonzero(np.diff(text.owners[owned], prepend=-1))  # the first unit of each character
    log_probabilities = path.log_probabilities[owned]
    lasts = np.append(firsts[1:], len(log_probabilities)) - 1
    scores = np.add.reduceat(log_probabilities, firsts) / (lasts - firsts + 1)
    starts = path.first_frames[owned][firsts] / frame_rate
    ends = (path.last_frames[owned][lasts] + 1) / frame_rate
    spelled = [word for line in text.lines for word in line]
    edges = np.cumsum([0, *(len(word.characters) for word in spelled)])
    spans = _divided(
        np.stack([starts[edges[:-1]], ends[edges[1:] - 1]], axis=1), decibels, loud, end_seconds=duration_seconds
    )
    words = [
        _word(word, start, end, starts[first:last], ends[first:last], scores[first:last], text.star)
        for word, (start, end), (first, last) in zip(spelled, spans.tolist(), pairwise(edges.tolist()), strict=True)
    ]
    line_of_word = [number for number, line in enumerate(text.lines) for _ in line]
    numbered = groupby(zip(line_of_word, words, strict=True), key=lambda each: each[0])
    lines = [tuple(word for _, word in group) for _, group in numbered]
    is_star = text.units == text.star
    star_frames = int((path.last_frames - path.first_frames + 1)[is_star].sum())
    score = (path.loss + STAR_LOSS * star_frames) / int((owned & ~is_star).sum())
    return Alignment(
        segments=tuple(AlignedSegment(" ".join(word.text for word in line), line) for line in lines),
        duration_seconds=duration_seconds,
        score=score,
        is_match=score >= MATCH_SCORE,
        unspelled=text.unspelled,
        normalization=normalization,
    )


def _word(
    word: SpelledWord, start: float, end: float, starts: Floats, ends: Floats, scores: Floats, star: int
) -> AlignedWord:
    """Return a word from `start` to `end`, to which its first and last character reach."""
    starts, ends = starts.clip(start, end), ends.clip(start, end)
    starts[0], ends[-1] = start, end
    characters = [
        AlignedCharacter(character.text, *times)
        for character, *times in zip(word.characters, starts.tolist(), ends.tolist(), scores.tolist(), strict=True)
        if character.text != " "
    ]
    score = float(scores.mean())
    return AlignedWord(
        text=word.text,
        start_seconds=start,
        end_seconds=end,
        confidence=float(np.exp(score)),
        score=score,
        characters=tuple(characters),
        is_spelled=all(star not in character.units for character in word.characters),
    )


def _divided(spans: Floats, decibels: Floats, loud: NDArray[np.bool_], *, end_seconds: float) -> Floats:
    """Return the spans (words, 2) with the gaps between them divided by loudness, in seconds."""
    inner = np.rint(spans * LOUDNESS_RATE).astype(np.int64).clip(0, len(loud))
    divided = spans.clip(0.0, end_seconds)
    gap_ends = np.append(inner[:, 0], len(loud))
    for number, (start, end) in enumerate(zip(np.append(0, inner[:, 1]).tolist(), gap_ends.tolist(), strict=True)):
        if end <= start:
            continue
        quiet = np.flatnonzero(~loud[start:end])
        meeting = int(np.argmin(decibels[start:end]))
        stops, starts = (quiet[0], quiet[-1] + 1) if len(quiet) else (meeting, meeting)
        if number:
            divided[number - 1, 1] = (start + stops) / LOUDNESS_RATE
        if number < len(spans):
            divided[number, 0] = (start + starts) / LOUDNESS_RATE
    for span in divided:
        start, end = np.rint(span * LOUDNESS_RATE).astype(np.int64)
        heard = np.flatnonzero(loud[start:end])
        if len(heard):
            span[:] = (start + heard[0]) / LOUDNESS_RATE, (start + heard[-1] + 1) / LOUDNESS_RATE
    return divided.clip(0.0, end_seconds)
