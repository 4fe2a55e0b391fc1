"""Units of a beam search: words are spelled in them, or cannot be."""

import pytest

from sonant.decoding.ctc_vocabulary import BYTE_TOKENS, CTCVocabulary
from sonant.decoding.prefix_beam.units import SearchUnits


@pytest.mark.parametrize(("text", "names"), [("né", "<0x6E> <0xC3> <0xA9>"), ("n é", ""), ("nü", ""), ("", "")])
def test_bytes_spell_what_they_have(text: str, names: str) -> None:
    tokens = ("<pad>", *(token for token in BYTE_TOKENS if token != "<0xBC>"))  # a byte of ü
    units = SearchUnits(CTCVocabulary.of(tokens))
    assert [tokens[units.tokens[unit]] for unit in units.spell(text)] == names.split()
    assert units.can_spell(text) == ("ü" not in text)
