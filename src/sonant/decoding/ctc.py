"""From what each frame says to words with times: the best path of connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.alphabet import Alphabet
from sonant.decoding.results import Transcript, Word


@dataclass(frozen=True, eq=False)
class Path:
    """The likeliest token of each frame.

    Attributes:
        tokens: int64 (frames,).
        probabilities: float32 (frames,), of these tokens.
    """

    tokens: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Emission:
    """One token that was said.

    Attributes:
        token: its number.
        start_frame, end_frame: the frames that say it, the end not included.
    """

    token: int
    start_frame: int
    end_frame: int


def best_path(logits: Tensor) -> Path:
    """Logits (frames, tokens) to the likeliest token of each frame."""
    probabilities, tokens = logits.float().softmax(-1).max(-1)
    return Path(tokens.cpu().numpy(), probabilities.cpu().numpy())


def join(paths: Sequence[Path]) -> Path:
    """The path of a recording whose frames came in pieces."""
    return Path(np.concatenate([path.tokens for path in paths]), np.concatenate([path.probabilities for path in paths]))


def collapse(tokens: NDArray[np.int64], *, blank: int) -> list[Emission]:
    """Runs of the same token become one, and blanks none; a blank between two of the same keeps them apart."""
    changes = np.flatnonzero(tokens[1:] != tokens[:-1]) + 1
    runs = pairwise([0, *changes.tolist(), len(tokens)]) if len(tokens) else ()
    return [Emission(int(tokens[start]), start, end) for start, end in runs if tokens[start] != blank]


def greedy_transcript(path: Path, alphabet: Alphabet, *, frame_rate: float, duration_seconds: float) -> Transcript:
    """The words along a path, with times and confidences; tokens that are no speech are dropped."""
    said = [one for one in collapse(path.tokens, blank=alphabet.blank) if one.token not in alphabet.special]
    words = [_word(group, path, alphabet, frame_rate) for group in _words(said, alphabet.delimiter)]
    speaking = ~np.isin(path.tokens, list(alphabet.silent))
    counted = path.probabilities[speaking] if speaking.any() else path.probabilities
    return Transcript(
        text=" ".join(word.text for word in words),
        words=tuple(words),
        duration_seconds=duration_seconds,
        confidence=float(counted.mean()) if len(counted) else 0.0,
    )


def _words(said: Sequence[Emission], delimiter: int | None) -> list[list[Emission]]:
    """The tokens of each word; without a delimiter each token is one."""
    if delimiter is None:
        return [[one] for one in said]
    words: list[list[Emission]] = [[]]
    for one in said:
        if one.token == delimiter:
            words.append([])
        else:
            words[-1].append(one)
    return [word for word in words if word]


def _word(group: Sequence[Emission], path: Path, alphabet: Alphabet, frame_rate: float) -> Word:
    frames = np.concatenate([np.arange(one.start_frame, one.end_frame) for one in group])
    return Word(
        text="".join(alphabet.tokens[one.token] for one in group),
        start_seconds=group[0].start_frame / frame_rate,
        end_seconds=group[-1].end_frame / frame_rate,
        confidence=float(path.probabilities[frames].mean()),
    )
