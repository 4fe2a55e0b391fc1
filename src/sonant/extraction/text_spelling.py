"""Spelling of written texts, with capitals, punctuation and numbers, in the units of a CTC head."""

import re
from collections.abc import Sequence
from unicodedata import category

from sonant.data.text_normalization import APOSTROPHES, Normalization, normalize_text
from sonant.decoding.alignment.spelled_text import SpelledCharacter, SpelledText, SpelledWord, merged_stars
from sonant.errors import UnalignableText
from sonant.extraction.text_units import TextUnits

SENTENCE_MARKS = frozenset(".,?!")


class TextSpeller:
    """Spells texts in the units of a CTC head.

    Args:
        units: of the head.
        tokens: of its vocabulary, by number.
        normalize: form of the words before they are spelled, as in `normalize_text`; None: that which the vocabulary
            calls for, see `form`.
    """

    def __init__(self, units: TextUnits, tokens: Sequence[str], normalize: Normalization | None = None) -> None:
        self._units, self._star = units, len(tokens)
        self._numbers = {token: number for number, token in reversed(list(enumerate(tokens)))}
        self.form: Normalization = self._suitable() if normalize is None else normalize
        self._separator = tuple(self._numbers[token] for token in units.spell(" ") if token in self._numbers)

    def _suitable(self) -> Normalization:
        """Return "none" for phones and for vocabularies with punctuation, else the case of the letters."""
        written = self._units.letters(list(self._numbers))
        letters = "".join(written)
        if not letters or SENTENCE_MARKS & set(letters):
            return "none"
        upper, lower = letters.upper() == letters, letters.lower() == letters
        return "cased" if upper == lower else "upper" if upper else "lower"

    def spell(self, text: str, *, stars_between: bool = False) -> SpelledText:
        """Spell a text; each of its lines that is not empty is a segment.

        Raises:
            UnalignableText: there is no word, or nothing but stars.
        """
        unspelled: dict[str, None] = {}
        lines = [line for each in text.splitlines() if (line := self._line(each, unspelled))]
        if not lines:
            raise UnalignableText("The text has no word to align: it is empty, or has punctuation alone.")
        spelled = SpelledText(tuple(lines), self._separator, self._star, stars_between, tuple(unspelled))
        if (spelled.units[spelled.owners >= 0] == self._star).all():
            raise UnalignableText(
                f"Nothing of the text {text.strip()[:60]!r} can be spelled in the units of this model: give it in the "
                "script of the model, and numbers in words."
            )
        return spelled

    def _line(self, line: str, unspelled: dict[str, None]) -> tuple[SpelledWord, ...]:
        words: list[SpelledWord] = []
        before = ""  # punctuation without a word, at the beginning
        for written in line.split():
            characters = self._word(written, unspelled)
            if characters:
                words.append(SpelledWord(before + written, characters))
                before = ""
            elif words:
                words[-1] = SpelledWord(f"{words[-1].text} {written}", words[-1].characters)
            else:
                before += f"{written} "
        return tuple(words)

    def _word(self, written: str, unspelled: dict[str, None]) -> tuple[SpelledCharacter, ...]:
        """Return the characters of a word, with a star for what cannot be spelled; none for punctuation."""
        characters: list[SpelledCharacter] = []
        for part in self._spoken(normalize_text(written, self.form)).split():
            groups = self._units.characters(part)
            whole = [SpelledCharacter(each, self._found(tokens) or (self._star,)) for each, tokens in groups]
            if characters and self._separator:
                characters.append(SpelledCharacter(" ", self._separator))
            characters += whole
        merged = merged_stars(characters, self._star)
        unspelled.update((each.text, None) for each in merged if each.units == (self._star,))
        return merged

    def _spoken(self, word: str) -> str:
        """Drop the marks inside a word that the vocabulary lacks; a hyphen separates two words."""
        if self.form == "none":
            return word
        word = re.sub(f"[{APOSTROPHES}]", "'", word)
        spelled = self._units.letters(list(self._numbers))
        return "".join(
            each
            if each in spelled or not category(each).startswith("P") or each in "%&@#"
            else " "
            if each == "-"
            else ""
            for each in word
        )

    def _found(self, tokens: Sequence[str]) -> tuple[int, ...]:
        """Return the numbers of tokens; empty if one is unknown."""
        numbers = [self._numbers[token] for token in tokens if token in self._numbers]
        return tuple(numbers) if len(numbers) == len(tokens) else ()
