"""Greedy and beam search, on a decoder whose every text can be counted."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sonant.decoding import beam_search, greedy
from sonant.errors import ConfigurationError

END = 2
LONGEST = 4


@dataclass(frozen=True)
class Texts:
    rows: tuple[tuple[int, ...], ...]

    def select(self, rows: Tensor) -> "Texts":
        return Texts(tuple(self.rows[row] for row in rows.tolist()))


class Table:
    """A decoder over four tokens: what comes next depends on all that went before, by chance."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def logits(self, text: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(hash((self.seed, text)) % 2**31)
        return 2 * torch.randn(4, generator=generator)

    def start(self, _: Tensor) -> Texts:
        return Texts(((),))

    def step(self, tokens: Tensor, state: Texts) -> tuple[Tensor, Texts]:
        rows = tuple((*row, token) for row, token in zip(state.rows, tokens.tolist(), strict=True))
        return torch.stack([self.logits(row) for row in rows]), Texts(rows)

    def score(self, text: tuple[int, ...]) -> float:
        """Of a whole text, the end included, by the formula."""
        tokens = (*text, END)
        return sum(
            float(self.logits((END, *tokens[:i])).log_softmax(0)[token].double()) for i, token in enumerate(tokens)
        )

    def best(self) -> tuple[int, ...]:
        texts = [text for length in range(LONGEST + 1) for text in itertools.product((0, 1, 3), repeat=length)]
        return max(texts, key=self.score)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    table = Table(seed)
    one = greedy(table, torch.zeros(1), end=END, max_length=LONGEST)
    (other,) = beam_search(table, torch.zeros(1), end=END, max_length=LONGEST, beam=1)
    assert one.tokens == other.tokens
    assert one.score == pytest.approx(other.score, abs=1e-5)
    assert one.score == pytest.approx(table.score(one.tokens), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_beam_that_holds_all_texts_finds_the_best(seed: int) -> None:
    table = Table(seed)
    found = beam_search(table, torch.zeros(1), end=END, max_length=LONGEST, beam=200, length_penalty=0.0)
    assert found[0].tokens == table.best()
    assert len({one.tokens for one in found}) == len(found)
    for one in found[:5]:
        assert one.score == pytest.approx(table.score(one.tokens), abs=1e-4)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_many_early_ends_do_not_cut_a_good_text_short() -> None:
    class Sure(Table):
        def logits(self, text: tuple[int, ...]) -> Tensor:
            right = (0, 1, 3, 0, 1, END)[len(text) - 1] if len(text) < 7 else END
            return torch.eye(4)[right] * 5 + torch.eye(4)[END] * 2

    assert beam_search(Sure(0), torch.zeros(1), end=END, max_length=9, beam=3)[0].tokens == (0, 1, 3, 0, 1)


def test_length_penalty_favors_longer_texts() -> None:
    lengths = [
        [
            len(beam_search(Table(seed), torch.zeros(1), end=END, max_length=8, beam=6, length_penalty=power)[0].tokens)
            for seed in range(30)
        ]
        for power in (0.0, 2.0)
    ]
    assert sum(lengths[1]) > sum(lengths[0])


def test_a_text_is_ended_at_its_longest() -> None:
    class Endless(Table):
        def logits(self, text: tuple[int, ...]) -> Tensor:
            return torch.tensor([3.0, 0.0, -50.0, 0.0])

    assert greedy(Endless(0), torch.zeros(1), end=END, max_length=3).tokens == (0, 0, 0)
    assert beam_search(Endless(0), torch.zeros(1), end=END, max_length=3, beam=4)[0].tokens == (0, 0, 0)


def test_a_search_that_finds_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="beam of 0"):
        beam_search(Table(0), torch.zeros(1), end=END, max_length=3, beam=0)
