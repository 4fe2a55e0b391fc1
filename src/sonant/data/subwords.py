"""Subword tokens of text, by sentencepiece, numbered as in fairseq: four special tokens, then the pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from sonant.errors import ConfigurationError, MissingExtra


class Subwords:
    """A sentencepiece model; token 0 is "<s>", 1 "<pad>", 2 "</s>", 3 "<unk>"."""

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.is_file():
            raise ConfigurationError(f"There is no sentencepiece model at {path}. Make one with Subwords.train.")
        try:
            self._processor: Any = _sentencepiece().SentencePieceProcessor(model_file=str(path))
        except RuntimeError as error:
            raise ConfigurationError(f"{path} is no model of sentencepiece: {error}") from error

    @classmethod
    def train(
        cls, texts: Iterable[str], path: str | Path, *, size: int = 4_004, kind: Literal["bpe", "unigram"] = "bpe"
    ) -> Subwords:
        """Train a model on texts and save it at `path`.

        Args:
            size: number of tokens, with the four special ones.
            kind: byte-pair encoding, or sentencepiece's unigram model.

        Raises:
            ConfigurationError: the texts have too few subwords.
        """
        model = BytesIO()
        try:
            _sentencepiece().SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=size,
                model_type=kind,
                character_coverage=1.0,
                normalization_rule_name="identity",
                bos_id=0,
                pad_id=1,
                eos_id=2,
                unk_id=3,
                minloglevel=2,
            )
        except RuntimeError as error:
            most = re.search(r"<= (\d+)", str(error))
            why = f"{error}" if most is None else f"at most {most[1]} can, special tokens included"
            raise ConfigurationError(
                f"{size} subwords cannot be made of these texts: {why}. Ask for fewer (in a training on labels "
                f"task.num_subwords={'...' if most is None else most[1]}), or give more text."
            ) from error
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.getvalue())
        return cls(path)

    @property
    def model(self) -> bytes:
        """The model, as it stands in its file."""
        return bytes(self._processor.serialized_model_proto())

    @property
    def pieces(self) -> list[tuple[str, float]]:
        """The pieces by number, with their scores (log-probabilities of a unigram model)."""
        numbers = range(len(self))
        return [(self._processor.id_to_piece(number), self._processor.get_score(number)) for number in numbers]

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without "</s>"."""
        return list(self._processor.encode(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        return str(self._processor.decode(list(tokens)))


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise MissingExtra("sentencepiece", extra="text", purpose="Text in subwords") from error
    return sentencepiece
