"""Tokenizers: a text's tokens are those of its words, and a saved tokenizer is the same."""

from pathlib import Path

import pytest

from sonant.data.text_tokenizers import (
    TextTokenizer,
    Units,
    UnitTokenizer,
    make_tokenizer,
    read_tokenizer,
)
from sonant.errors import ConfigurationError
from tests.models.language_models import TEXTS, byte_level


@pytest.mark.parametrize("units", ["words", "characters", "subwords", None])
def test_tokens_of_a_text_are_those_of_its_words_also_of_a_saved_one(units: Units | None, tmp_path: Path) -> None:
    made: TextTokenizer = byte_level() if units is None else make_tokenizer(TEXTS, units, size=40)
    made.save(tmp_path)
    read = read_tokenizer(tmp_path, units)
    assert len(read) == len(made)
    for text in [*TEXTS, "unseen zebras out"]:
        words = text.split()
        by_word = [token for i, word in enumerate(words) for token in made.encode_word(word, first=i == 0)]
        assert made.encode(text) == by_word == read.encode(text)
        assert max(by_word) < len(made)


def test_words_are_the_most_frequent_ones() -> None:
    made = UnitTokenizer.of_texts(TEXTS, "words", size=6)
    assert made.units == ("<s>", "<pad>", "</s>", "<unk>", "cat", "let")
    assert made.encode("let the cat <s>") == [5, 3, 4, 0]


def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no tokenizer"):
        read_tokenizer(tmp_path, "words")
    with pytest.raises(ConfigurationError, match="must be <s>"):
        UnitTokenizer(["a", "b"], "words")
