"""Hot words: words and phrases that a decoder prefers, as an automaton over the bytes of the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sonant.decoding.prefix_beam.units import SearchUnits
from sonant.decoding.spacing import is_word_boundary
from sonant.errors import ConfigurationError, some_of

_SPACE = b" "


class HotWords:
    """A table of the bonus that a text gets when a unit is added to it.

    While a hot word is being spelled, the text has a part of the bonus, by the share of the word that is there; it is
    taken back when the text goes on otherwise, and becomes final when the word ends. Hot words are whole words: spaces
    or the ends of the text surround them, except in scripts without spaces. The automaton is that of Aho and Corasick
    (1975), so that hot words may overlap.

    Attributes:
        start: the state of an empty text.
        following: int64 (states, units): the state after each unit.
        bonus: float32 (states, units): what is added to the score then.
        ending: float32 (states,): what is added at the end of the text.

    Raises:
        ConfigurationError: hot words that the vocabulary cannot spell, in any case.
    """

    def __init__(self, words: Sequence[str], score: float, units: SearchUnits) -> None:
        patterns = _patterns(words, units)
        children: list[dict[int, int]] = [{}]
        progress, final = [0.0], [0.0]
        for pattern in patterns:
            node, letters = 0, len(pattern.replace(_SPACE, b""))
            seen = 0
            for place, byte in enumerate(pattern):
                if byte not in children[node]:
                    children[node][byte] = len(children)
                    children.append({})
                    progress.append(0.0)
                    final.append(0.0)
                node = children[node][byte]
                seen += byte != _SPACE[0]
                if place < len(pattern) - 1:
                    progress[node] = max(progress[node], score * seen / letters, key=abs)
            final[node] = score
        steps, earned = _automaton(children, progress, final)
        self.start = int(steps[0, _SPACE[0]])
        states = np.arange(len(children))
        following, bonus = [], []
        for text in units.texts:
            state, gained = states, np.zeros(len(states))
            for byte in text:
                state = steps[state, byte]
                gained = gained + earned[state]
            following.append(state)
            bonus.append(gained + np.asarray(progress)[state] - np.asarray(progress))
        self.following = torch.from_numpy(np.stack(following, 1))
        self.bonus = torch.from_numpy(np.stack(bonus, 1).astype(np.float32))
        closed = steps[states, _SPACE[0]]
        self.ending = torch.from_numpy((earned[closed] - np.asarray(progress)).astype(np.float32))

    def to(self, device: torch.device) -> HotWords:
        """Move the tables to a device."""
        self.following, self.bonus = self.following.to(device), self.bonus.to(device)
        self.ending = self.ending.to(device)
        return self


def _patterns(words: Sequence[str], units: SearchUnits) -> list[bytes]:
    """Return the bytes of each hot word, with the spaces that surround it."""
    found, wrong = [], []
    spaced = units.separates_words
    for word in words:
        text = " ".join(word.split())
        forms = _forms(text, units)
        if not forms:
            wrong.append(word)
            continue
        before = _SPACE if spaced and not is_word_boundary(text[0], text[0]) else b""
        after = _SPACE if spaced and not is_word_boundary(text[-1], text[-1]) else b""
        found.append(before + forms[0].encode() + after)
    if wrong:
        letters = dict.fromkeys(letter for word in wrong for letter in word if not _forms(letter, units))
        raise ConfigurationError(
            f"{len(wrong)} of {len(words)} hot words cannot be spelled in the CTC vocabulary: "
            f"{some_of([repr(word) for word in wrong], 5)}. Characters that it does not have: "
            f"{some_of([repr(letter) for letter in letters], 10) or 'none; they are empty'}."
        )
    return found


def _forms(text: str, units: SearchUnits) -> list[str]:
    """Return the text as it is, in upper and in lower case, as far as it can be spelled so."""
    return [form for form in (text, text.upper(), text.lower()) if form and units.can_spell(form)]


def _automaton(
    children: list[dict[int, int]], progress: list[float], final: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the state after each byte (states, 256), and what is earned on arriving at each state; set progress."""
    steps = np.zeros((len(children), 256), np.int64)
    earned = np.asarray(final)
    failure = np.zeros(len(children), np.int64)
    queue = [0]
    for node in queue:
        row = steps[failure[node]].copy() if node else steps[0]
        for byte, child in children[node].items():
            failure[child] = row[byte] if node else 0
            row[byte] = child
            queue.append(child)
        steps[node] = row
        if node:
            earned[node] += earned[failure[node]]
            if not children[node]:  # a finished hot word: what it shares with the beginning of another one counts
                progress[node] = progress[failure[node]]
    return steps, earned
