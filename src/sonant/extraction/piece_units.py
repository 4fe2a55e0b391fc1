"""Pieces of a sentencepiece model as units of transcripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sonant.checkpoints.fairseq2_tokenizer import unusable
from sonant.checkpoints.sentencepiece_model import read_sentencepiece_model
from sonant.checkpoints.tokenizer_files import PIECES, SETTINGS
from sonant.data.subwords import Subwords
from sonant.decoding.ctc_vocabulary import PIECE
from sonant.errors import ConfigurationError
from sonant.extraction.text_units import BLANK, UNSPELLED, TextUnits


class Pieces(TextUnits):
    """Pieces of a sentencepiece model, whose token 0 is taken for the blank.

    Raises ConfigurationError: the pieces cannot be joined to text, or token 0 is written.
    """

    def __init__(self, path: Path) -> None:
        self._subwords, self._model = Subwords(path), read_sentencepiece_model(path)
        reason = unusable(self._model)
        if reason is not None:
            raise ConfigurationError(f"{path} {reason}. Give another sentencepiece model.")
        first = self._model.texts[0]
        self._tokens = [{first: BLANK, BLANK: first}.get(text, text) for text in self._model.texts]
        self._unknown = self._model.kinds.index("unknown")

    def tokens(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(self._tokens)

    def spell(self, label: str) -> list[str]:
        numbers = self._subwords.encode(label)
        if PIECE in label:
            return [f"{PIECE} for a space"]
        if self._unknown in numbers:
            spelled = {character for piece in self._model.texts for character in piece}
            return [f"no piece for {character}" for character in label if character not in {" ", *spelled}]
        return [self._tokens[number] for number in numbers]

    def characters(self, word: str) -> list[tuple[str, Sequence[str]]]:
        tokens = self.spell(word)
        if any(" " in token for token in tokens):  # what cannot be spelled
            return [(word, [UNSPELLED])]
        found: list[tuple[str, Sequence[str]]] = []
        alone: list[str] = []  # the mark of a space, as a token of its own
        for token in tokens:
            if token == PIECE:
                alone = [token]
            else:
                found.append((token.removeprefix(PIECE), [*alone, token]))
                alone = []
        return found

    def letters(self, tokens: Sequence[str]) -> frozenset[str]:  # noqa: ARG002
        texts = (text for text, kind in zip(self._model.texts, self._model.kinds, strict=True) if kind == "normal")
        return frozenset(character for text in texts for character in text) - {PIECE}

    def notes(self, tokens: Sequence[str]) -> dict[str, Any]:
        unknown = self._tokens[self._unknown]
        settings = {"tokenizer_class": "ParakeetTokenizer", "pad_token": BLANK, "unk_token": unknown}
        files = {PIECES: self._tokenizer_json(), SETTINGS: settings}
        return {"vocabulary": list(tokens), "blank": 0, "tokenizer": settings, "tokenizer_files": files}

    def _tokenizer_json(self) -> dict[str, Any]:
        """Return the content of tokenizer.json, a unigram model with the scores of the pieces."""
        spaces = {"type": "Metaspace", "replacement": PIECE, "prepend_scheme": "always", "split": True}
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
        special = [number for number, kind in enumerate(self._model.kinds) if kind in ("control", "unknown")]
        scored = [[name, score] for name, (_, score) in zip(self._tokens, self._subwords.pieces, strict=True)]
        return {
            "version": "1.0",
            "added_tokens": [{"id": number, "content": self._tokens[number], **flags} for number in special],
            "pre_tokenizer": spaces,
            "decoder": spaces,
            "model": {"type": "Unigram", "unk_id": self._unknown, "vocab": scored},
        }
