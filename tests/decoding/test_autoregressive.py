"""Beam search, on a decoder whose every text can be counted."""

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sonant.decoding import TokenHypothesis, TokenSearch, beam_search
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

END = 2
LONGEST = 4


@dataclass(frozen=True)
class Texts:
    rows: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]  # of the clips

    def __getitem__(self, rows: Tensor) -> "Texts":
        return Texts(tuple(self.rows[row] for row in rows.tolist()), self.seeds)

    def of_clips(self, clips: Tensor) -> "Texts":
        width = len(self.rows) // len(self.seeds)
        kept = tuple(row for clip in clips.tolist() for row in self.rows[clip * width :][:width])
        return Texts(kept, tuple(self.seeds[clip] for clip in clips.tolist()))


class Table:
    """A decoder over four tokens: what comes next depends on all that went before and on the clip, by chance."""

    @cache  # noqa: B019
    def logits(self, seed: int, text: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(hash((seed, text)) % 2**31)
        return 2 * torch.randn(4, generator=generator)

    def start(self, memory: Packed) -> Texts:
        return Texts(((),) * len(memory), tuple(int(clip[0]) for clip in memory))

    def step(self, tokens: Tensor, state: Texts) -> tuple[Tensor, Texts]:
        rows = tuple((*row, token) for row, token in zip(state.rows, tokens.tolist(), strict=True))
        width = len(rows) // len(state.seeds)
        logits = [self.logits(state.seeds[number // width], row) for number, row in enumerate(rows)]
        return torch.stack(logits), Texts(rows, state.seeds)

    def score(self, seed: int, text: tuple[int, ...]) -> float:
        """Of a whole text, the end included, by the formula."""
        tokens = (*text, END)
        return sum(
            float(self.logits(seed, (END, *tokens[:i])).log_softmax(0)[token].double())
            for i, token in enumerate(tokens)
        )


class Bigrams:
    """A language model of the last token alone."""

    def __init__(self) -> None:
        self.table = torch.randn(4, 4, generator=torch.Generator().manual_seed(7)).log_softmax(-1)

    def start(self, count: int) -> Tensor:
        return torch.full((count,), END)

    def extend(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.table[state, tokens], tokens

    def finish(self, state: Tensor) -> Tensor:
        return self.table[state, END]

    def score(self, text: tuple[int, ...]) -> float:
        return sum(float(self.table[pair]) for pair in itertools.pairwise((END, *text, END)))


ALL = [text for length in range(LONGEST + 1) for text in itertools.product((0, 1, 3), repeat=length)]


def searched(
    table: Table, *seeds: int, longest: int = LONGEST, lm: Bigrams | None = None, **how: Any
) -> list[list[TokenHypothesis]]:
    memory = Packed.pack([torch.tensor([float(seed)]) for seed in seeds])
    return beam_search(table, memory, end=END, max_lengths=[longest] * len(seeds), search=TokenSearch(**how), lm=lm)


def test_a_beam_of_one_takes_the_best_token_each_time() -> None:
    for seed in range(10):
        table, text = Table(), ()
        while len(text) < LONGEST and (best := int(table.logits(seed, (END, *text)).argmax())) != END:
            text = (*text, best)
        ((one,),) = searched(table, seed, beam=1)
        assert one.tokens == text
        assert one.score == pytest.approx(table.score(seed, text), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_a_beam_that_holds_all_texts_finds_the_best(weight: float) -> None:
    table, lm = Table(), Bigrams()
    for seed in range(3):
        (found,) = searched(table, seed, beam=81, length_penalty=0.0, lm=lm, lm_weight=weight)
        totals = {text: table.score(seed, text) + weight * lm.score(text) for text in ALL}
        assert found[0].tokens == max(ALL, key=totals.__getitem__)
        assert len({one.tokens for one in found}) == len(found)
        for one in found[:5]:
            assert one.score == pytest.approx(totals[one.tokens], abs=1e-4)
            assert one.decoder_score == pytest.approx(table.score(seed, one.tokens), abs=1e-4)
            assert one.lm_score == pytest.approx(lm.score(one.tokens) if weight else 0.0, abs=1e-4)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=4), st.integers(1, 4), st.booleans())
def test_clips_do_not_affect_each_other(seeds: list[int], beam: int, with_lm: bool) -> None:
    lm = Bigrams() if with_lm else None
    table = Table()
    alone = [searched(table, seed, beam=beam, lm=lm)[0] for seed in seeds]
    assert searched(table, *seeds, beam=beam, lm=lm) == alone


def test_a_text_ends_at_the_longest_of_its_clip() -> None:
    class Endless(Table):
        def logits(self, seed: int, text: tuple[int, ...]) -> Tensor:
            return torch.tensor([3.0, 0.0, -50.0, 0.0])

    memory = Packed.pack([torch.zeros(1)] * 3)
    for beam in (1, 4):
        found = beam_search(Endless(), memory, end=END, max_lengths=[3, 0, 1], search=TokenSearch(beam=beam))
        assert [clip[0].tokens for clip in found] == [(0, 0, 0), (), (0,)]


def test_many_early_ends_do_not_cut_a_good_text_short() -> None:
    class Sure(Table):
        def logits(self, seed: int, text: tuple[int, ...]) -> Tensor:
            right = (0, 1, 3, 0, 1, END)[len(text) - 1] if len(text) < 7 else END
            return torch.eye(4)[right] * 5 + torch.eye(4)[END] * 2

    assert searched(Sure(), 0, longest=9, beam=3)[0][0].tokens == (0, 1, 3, 0, 1)


def test_length_penalty_and_end_threshold_favor_longer_texts() -> None:
    def total(**how: Any) -> int:
        found = searched(Table(), *range(12), longest=8, beam=6, **how)
        return sum(len(clip[0].tokens) for clip in found)

    assert total(length_penalty=0.0) < total(length_penalty=2.0)
    assert total(length_penalty=0.0) < total(length_penalty=0.0, end_threshold=1.0)


def test_a_search_that_finds_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="beam=0"):
        TokenSearch(beam=0)
    with pytest.raises(ConfigurationError, match="end_threshold=-1"):
        TokenSearch(end_threshold=-1.0)
    with pytest.raises(ConfigurationError, match="2 clips"):
        beam_search(Table(), Packed.pack([torch.zeros(1)] * 2), end=END, max_lengths=[3])
