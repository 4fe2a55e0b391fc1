"""Units of transcripts with slots: characters, and a token for each mark."""

from sonant.data.slots import is_mark
from sonant.extraction.text_units import Characters


class MarkedCharacters(Characters):
    """Characters, with "|" between words, and the marks of slots as one token each."""

    def pieces(self, word: str) -> list[str]:
        return [word] if is_mark(word) else super().pieces(word)
