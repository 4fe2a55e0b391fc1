"""Groups of codes and the tokens that stand for them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.errors import ConfigurationError
from sonant.models.code_vocabulary import (
    SPECIALS,
    CodeVocabulary,
    codes_of_numbers,
    codes_of_symbols,
    group_numbers,
)


@given(st.integers(1, 4), st.integers(2, 320), st.integers(0, 2**31))
def test_numbers_are_codes_written_otherwise(groups: int, codebook_size: int, seed: int) -> None:
    codes = torch.randint(codebook_size, (20, groups), generator=torch.Generator().manual_seed(seed))
    numbers = group_numbers(codes, codebook_size)
    assert int(numbers.max()) < codebook_size**groups
    assert torch.equal(codes_of_numbers(numbers, codebook_size, groups), codes)


def vocabulary() -> CodeVocabulary:
    made = CodeVocabulary(9, 2, 320)
    made.codes[4:7] = torch.tensor([[12, 301], [3, 0], [0, 3]])
    return made


def test_a_token_for_each_group_of_codes() -> None:
    codes = torch.tensor([[0, 3], [12, 301], [3, 0], [12, 302], [0, 0]])
    assert vocabulary().tokens(codes).tolist() == [6, 4, 5, 3, 3]  # 3: "<unk>", for codes never seen


def test_symbols_and_back() -> None:
    made = vocabulary()
    assert made.symbols() == [*SPECIALS, "12-301", "3-0", "0-3", "madeupword0007", "<mask>"]
    assert torch.equal(codes_of_symbols(made.symbols(), 2, 320), made.codes)
    assert made.words.tolist() == [4, 5, 6]
    assert made.mask_token == 8


def test_a_dictionary_of_another_quantizer_is_refused() -> None:
    for symbol in ("1-2-3", "7", "5-320"):
        with pytest.raises(ConfigurationError, match=rf"symbol '{symbol}'.* 2 codebooks of 320 codes"):
            codes_of_symbols(["1-2", symbol], 2, 320)
