"""Words with times from the outputs of each frame: the best path of connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.alphabet import Alphabet
from sonant.decoding.results import Transcript, Word, written
from sonant.decoding.spacing import parted, tidied


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
    """One token of the decoded sequence, with its frames.

    Attributes:
        token: its number.
        start_frame, end_frame: its frames, the end not included.
    """

    token: int
    start_frame: int
    end_frame: int


def best_path(logits: Tensor) -> Path:
    """Logits (frames, tokens) to the likeliest token of each frame."""
    probabilities, tokens = logits.float().softmax(-1).max(-1)
    return Path(tokens.cpu().numpy(), probabilities.cpu().numpy())


def join(paths: Sequence[Path]) -> Path:
    """The path of a recording whose frames came in pieces; an empty one where none has come yet."""
    if not paths:
        return Path(np.empty(0, np.int64), np.empty(0, np.float32))
    return Path(np.concatenate([path.tokens for path in paths]), np.concatenate([path.probabilities for path in paths]))


def collapse(tokens: NDArray[np.int64], *, blank: int) -> list[Emission]:
    """Runs of the same token become one, and blanks none; a blank between two of the same keeps them apart."""
    changes = np.flatnonzero(tokens[1:] != tokens[:-1]) + 1
    runs = pairwise([0, *changes.tolist(), len(tokens)]) if len(tokens) else ()
    return [Emission(int(tokens[start]), start, end) for start, end in runs if tokens[start] != blank]


def greedy_transcript(path: Path, alphabet: Alphabet, *, frame_rate: float, duration_seconds: float) -> Transcript:
    """The words along a path, with times and confidences; tokens that are no speech are dropped."""
    path = Path(alphabet.same[path.tokens], path.probabilities)
    said = [one for one in collapse(path.tokens, blank=alphabet.blank) if one.token not in alphabet.special]
    words = [_word(before, group, path, alphabet, frame_rate) for before, group in _words(said, alphabet)]
    words = tidied(words) if alphabet.tidy else words
    speaking = ~np.isin(path.tokens, list(alphabet.silent))
    counted = path.probabilities[speaking] if speaking.any() else path.probabilities
    return Transcript(
        text=written(words),
        words=tuple(words),
        duration_seconds=duration_seconds,
        confidence=float(counted.mean()) if len(counted) else 0.0,
    )


def _words(said: Sequence[Emission], alphabet: Alphabet) -> list[tuple[str, list[Emission]]]:
    """The tokens of each word, and what is written before it."""
    words: list[tuple[str, list[Emission]]] = []
    delimited, last = True, ""
    for one in said:
        if one.token in alphabet.delimiters:
            delimited = True
            continue
        text = alphabet.text(one.token)
        if delimited or one.token in alphabet.initial:
            before = "" if not words else alphabet.space if delimited else " "
            words.append((before, [one]))
        elif parted(last[-1:], text[:1]):
            words.append(("", [one]))
        else:
            words[-1][1].append(one)
        delimited, last = False, text or last
    return words


def _word(before: str, group: Sequence[Emission], path: Path, alphabet: Alphabet, frame_rate: float) -> Word:
    frames = np.concatenate([np.arange(one.start_frame, one.end_frame) for one in group])
    text = "".join(alphabet.text(one.token) for one in group)
    return Word(
        text=text.lower() if alphabet.lower_case else text,
        start_seconds=group[0].start_frame / frame_rate,
        end_seconds=group[-1].end_frame / frame_rate,
        confidence=float(path.probabilities[frames].mean()),
        before=before,
    )
