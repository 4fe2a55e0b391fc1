"""A text in units of a CTC vocabulary: its lines, its words as they were written, and the units of each character."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

STAR = "*"  # the spelling of what has no units


@dataclass(frozen=True)
class SpelledCharacter:
    """One character, or a subword or phone; for what cannot be spelled, a star.

    Attributes:
        text: as the model spells it; of a star, what was written.
        units: numbers in the vocabulary, several for a character of several bytes; its size for a star.
    """

    text: str
    units: tuple[int, ...]


@dataclass(frozen=True)
class SpelledWord:
    """One word.

    Attributes:
        text: as it was written, with its punctuation.
        characters: at least one.
    """

    text: str
    characters: tuple[SpelledCharacter, ...]


@dataclass(frozen=True)
class SpelledText:
    """A text to be aligned.

    Attributes:
        lines: words of each line; at least one word in each.
        separator: units between two words, such as that of "|".
        star: number of the star: the size of the vocabulary.
        stars_between: whether a star stands before, between and after the lines, for speech that the text lacks.
        unspelled: what a star stands for, each once.
    """

    lines: tuple[tuple[SpelledWord, ...], ...]
    separator: tuple[int, ...]
    star: int
    stars_between: bool
    unspelled: tuple[str, ...]

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """All units in order: int64 (units,)."""
        return np.fromiter((unit for unit, _ in self._placed()), np.int64)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """For each unit the index of its character in the text, or -1: int64 (units,)."""
        return np.fromiter((owner for _, owner in self._placed()), np.int64)

    def _placed(self) -> Iterator[tuple[int, int]]:
        """Yield each unit with the index of its character; -1 for separators, and for stars between lines."""
        number, stars = 0, [(self.star, -1)] * self.stars_between
        yield from stars
        for line_number, line in enumerate(self.lines):
            for word_number, word in enumerate(line):
                if line_number or word_number:
                    yield from ((unit, -1) for unit in self.separator)
                if line_number and not word_number:
                    yield from stars
                for character in word.characters:
                    yield from ((unit, number) for unit in character.units)
                    number += 1
        yield from stars


def merged_stars(characters: Sequence[SpelledCharacter], star: int) -> tuple[SpelledCharacter, ...]:
    """Join stars that follow each other."""
    merged: list[SpelledCharacter] = []
    for character in characters:
        if merged and character.units == merged[-1].units == (star,):
            merged[-1] = SpelledCharacter(merged[-1].text + character.text, (star,))
        else:
            merged.append(character)
    return tuple(merged)
