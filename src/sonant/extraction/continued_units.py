"""Tokens of a trained CTC head as units of transcripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sonant.checkpoints import Head
from sonant.decoding.ctc_vocabulary import PHONEME_TOKENIZER
from sonant.errors import ConfigurationError
from sonant.extraction.piece_units import Pieces
from sonant.extraction.text_units import UNSPELLED, Bytes, Phones, TextUnits, single_characters
from sonant.extraction.vocabularies import vocabulary_of


class Continued(TextUnits):
    """Tokens of a head that is trained further.

    Args:
        head: with vocabulary, which stays as it is.
        name: of its model, for messages.
        lexicon: for phones, as in `Phones`.
        subwords: sentencepiece model, needed if tokens have several letters.
        setting: name of the argument or option that gives it, for messages.

    Raises:
        CheckpointError: the tokens of the head are unknown.
        ConfigurationError: they have several letters, and `subwords` is missing or of other tokens.
    """

    def __init__(self, head: Head, name: str, *, lexicon: Path | None, subwords: Path | None, setting: str) -> None:
        vocabulary = vocabulary_of(head, name)
        self._metadata, self._tokens = head.metadata, vocabulary.tokens
        delimiter = min(vocabulary.delimiters, default=None)
        self._delimiter = "a space" if delimiter is None else vocabulary.tokens[delimiter]
        written = [name for number, name in enumerate(vocabulary.tokens) if number not in vocabulary.outside_words]
        self._inner: TextUnits | None = None
        if vocabulary.bytes:
            self._inner = Bytes()
        elif (head.metadata.get("tokenizer") or {}).get("tokenizer_class") == PHONEME_TOKENIZER:
            self._inner, self.are_phones = Phones(lexicon), True
        elif any(len(token) > 1 for token in written):
            self._inner = None if subwords is None else Pieces(subwords)
            if self._inner is None or self._inner.tokens(()) != vocabulary.tokens:
                raise ConfigurationError(
                    f"The tokens of {name} have several letters, so that a text can be spelled in many ways, and "
                    f"{'there is no tokenizer.model in its folder' if subwords is None else f'{subwords} has others'}. "
                    f"Name the sentencepiece model that it was trained with: {setting}=FILE."
                )

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return self._tokens

    def spell(self, label: str) -> list[str]:
        if self._inner is not None:
            return self._inner.spell(label)
        if self._delimiter in label.replace(" ", ""):
            return [f"{self._delimiter} for a space"]
        return [self._delimiter if character == " " else character for character in label]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        if self._inner is not None:
            return self._inner.characters(word)
        return [(each, [UNSPELLED if each == self._delimiter else each]) for each in word]

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:
        return single_characters(tokens, self._delimiter) if self._inner is None else self._inner.letters(tokens)

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        return self._metadata
