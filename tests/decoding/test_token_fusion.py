"""A language model beside a decoder: each word, or each token, has its score once."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from sonant.decoding import TokenSearch, beam_search
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.token_fusion import TokenFusion
from sonant.layers.packed import Packed
from tests.decoding.test_autoregressive import END, Table

PIECES = CTCVocabulary.of(("<s>", "<pad>", "</s>", "<unk>", "▁a", "b", "▁", "ü"), blank=1)
CHARACTERS = CTCVocabulary.of(("<s>", "<pad>", "</s>", "<unk>", "|", "a", "b"), blank=1)


class Bigrams:
    """A language model of the last word alone."""

    unknown = 0
    device = torch.device("cpu")

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        draw = torch.Generator().manual_seed(0)
        self.table = torch.randn(len(words) + 1, len(words) + 1, generator=draw).log_softmax(-1)

    def start(self, count: int) -> Tensor:
        return torch.full((count,), len(self.words))

    def score(self, state: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        return self.table[state, words], words

    def finish(self, state: Tensor) -> Tensor:
        return self.table[state, len(self.words)]

    def to(self, _: Any) -> "Bigrams":
        return self

    def total(self, numbers: Sequence[int]) -> float:
        path = [len(self.words), *numbers, len(self.words)]
        return sum(float(self.table[pair]) for pair in pairwise(path))


@pytest.mark.parametrize(
    ("vocabulary", "words", "tokens", "numbers"),
    [
        (PIECES, ("<unk>", "ab", "a", "aü"), (4, 5, 4, 7, 4, 5, 5), (1, 3, 0)),
        (PIECES, ("<unk>", "ab", "b"), (6, 5, 6, 4), (2, 0)),
        (CHARACTERS, ("<unk>", "ab", "b"), (5, 6, 4, 6), (1, 2)),
        (CHARACTERS, ("<unk>", "|", "a", "b"), (5, 6, 4, 6), (2, 3, 1, 3)),
        (CHARACTERS, ("<unk>", "ab"), (), ()),
    ],
    ids=["pieces", "a lone space", "characters", "of characters", "nothing"],
)
def test_all_scores_of_a_text_add_up_to_that_of_its_words(
    vocabulary: CTCVocabulary, words: tuple[str, ...], tokens: tuple[int, ...], numbers: tuple[int, ...]
) -> None:
    lm: Any = Bigrams(words)
    fusion = TokenFusion(lm, vocabulary)
    texts, total = fusion.start(2), torch.zeros(2)
    for token in tokens:
        scores, texts = fusion.extend(texts, torch.tensor([token, token]))
        texts, total = texts[torch.tensor([1, 0])], (total + scores)[[1, 0]]
    total += fusion.finish(texts)
    assert total.tolist() == pytest.approx([lm.total(numbers)] * 2, rel=1e-5)
    assert math.isfinite(float(total[0]))


def test_scores_hold_in_a_search_that_forgets_states() -> None:
    lm = Bigrams(("<unk>", "|", "a"))
    memory = Packed.pack([torch.full((1,), number) for number in range(3)])
    found = beam_search(
        Table(),
        memory,
        end=END,
        max_lengths=[12, 30, 7],
        search=TokenSearch(beam=12, length_penalty=2.0, end_threshold=1.0, lm_weight=0.1),
        lm=TokenFusion(lm, CTCVocabulary.of(("<pad>", "|", "</s>", "a"), blank=0)),
    )
    for text in [text for texts in found for text in texts]:
        numbers = [{0: 0, 1: 1, 3: 2}[token] for token in text.tokens]
        assert text.lm_score == pytest.approx(lm.total(numbers), abs=1e-3)
    assert max(len(text.tokens) for texts in found for text in texts) > 10
