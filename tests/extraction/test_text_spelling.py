"""Spelling of written texts: case, punctuation, numbers, and units of every kind."""

from pathlib import Path

import pytest
from torch import zeros

from sonant.checkpoints import Head
from sonant.data.subwords import Subwords
from sonant.decoding.alignment.spelled_text import SpelledText
from sonant.errors import UnalignableText
from sonant.extraction.continued_units import Continued
from sonant.extraction.piece_units import Pieces
from sonant.extraction.text_spelling import TextSpeller
from sonant.extraction.text_units import Bytes, Characters, Phones, TextUnits
from tests.heads import LETTERS


def speller(tokens: tuple[str, ...] = LETTERS, units: TextUnits | None = None) -> TextSpeller:
    head = Head({"weight": zeros(len(tokens), 2)}, {"vocabulary": list(tokens), "blank": 0})
    return TextSpeller(units or Continued(head, "m", lexicon=None, subwords=None, setting="subwords"), tokens)


def spelling(text: SpelledText, tokens: tuple[str, ...] = LETTERS) -> str:
    return "".join("*" if unit == text.star else tokens[unit] for unit in text.units.tolist())


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Hello, World!", "HELLO|WORLD"),
        ("don\u2019t", "DON'T"),
        ("— Well —  then…", "WELL|THEN"),
        ("twenty-one", "TWENTY|ONE"),
        ("In 1984 we", "IN|*|WE"),
        ("R2D2 caf\u00e9", "R*D*|CAF*"),
        ("a | b", "A|*|B"),
        ("50% off", "*|OFF"),
    ],
)
def test_written_words_are_spelled_in_letters(text: str, spelled: str) -> None:
    found = speller().spell(text)
    assert spelling(found) == spelled
    written = " ".join(word.text for line in found.lines for word in line)
    assert written == " ".join(text.split())


def test_lines_are_segments_and_what_is_not_spelled_is_named() -> None:
    found = speller().spell("One 22.\n\n \n--\nthree \u00e9\n", stars_between=True)
    assert spelling(found) == "*ONE|*|*THREE|**"
    assert [len(line) for line in found.lines] == [2, 2]
    assert found.unspelled == ("22", "\u00c9")


@pytest.mark.parametrize("text", ["", " \n", "... — !", "1984 42"])
def test_nothing_to_align_is_refused(text: str) -> None:
    with pytest.raises(UnalignableText, match="no word to align" if "42" not in text else "can be spelled"):
        speller().spell(text)


def test_the_vocabulary_chooses_the_case() -> None:
    assert speller().form == "upper"
    assert speller(("<pad>", "|", "a", "b")).form == "lower"
    assert speller(("<pad>", "|", "a", "B")).form == "cased"
    assert speller(("<pad>", "|", "a", ".")).form == "none"


def test_phones_are_words_or_those_of_a_lexicon(tmp_path: Path) -> None:
    tokens = ("<pad>", "HH", "AY1")
    found = speller(tokens, Phones(None)).spell("HH AY1 ZZ")
    assert spelling(found, tokens) == "HHAY1*"
    assert [word.text for word in found.lines[0]] == ["HH", "AY1", "ZZ"]
    (tmp_path / "lexicon.txt").write_text("HI HH AY1\n")
    found = speller(tokens, Phones(tmp_path / "lexicon.txt")).spell("Hi, Bob")
    assert spelling(found, tokens) == "HHAY1*"
    assert found.unspelled == ("BOB",)


def test_bytes_of_one_character_belong_together() -> None:
    tokens = Bytes().tokens(())
    found = speller(tokens, Bytes()).spell("né a")
    assert [len(each.units) for word in found.lines[0] for each in word.characters] == [1, 2, 1]
    assert found.units.tolist() == [3 + byte for byte in "né a".encode()]


def test_subwords_are_those_of_training(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    model = tmp_path / "tokenizer.model"
    pieces = Subwords.train(["ab ba b a", "abba baab", "aab bba"], model, size=12, kind="unigram")
    units = Pieces(model)
    found = speller(units.tokens(()), units).spell("abba XY baab")
    assert found.units.tolist() == [*pieces.encode("abba"), found.star, *pieces.encode("baab")]


def test_characters_are_spelled_as_in_training() -> None:
    units = Characters()
    tokens = units.tokens(["AB C"])
    found = speller(tokens, units).spell("ab c")
    assert [tokens[unit] for unit in found.units.tolist()] == units.spell("AB C")
