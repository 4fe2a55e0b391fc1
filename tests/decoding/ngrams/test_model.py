"""Tests of n-gram models as tensors, against a dictionary of n-grams."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pytest
import torch

from sonant.decoding.ngrams.model import NgramModel
from sonant.decoding.ngrams.tables import NgramTable, ngram_model
from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint

WORDS = ("<unk>", "<s>", "</s>", "a", "b", "c")
Ngrams = Mapping[tuple[int, ...], tuple[float, float]]  # natural log-probability and back-off weight


def random_ngrams(seed: int, order: int = 4) -> Ngrams:
    """A model whose n-grams have their prefixes, but not all of their suffixes, and any back-off weights."""
    generator = np.random.default_rng(seed)
    ngrams: dict[tuple[int, ...], tuple[float, float]] = {}
    for length in range(1, order + 1):
        for ngram in product(range(len(WORDS)), repeat=length):
            if length == 1 or (ngram[:-1] in ngrams and generator.random() < 0.3):
                back_off = 0.0 if length == order or generator.random() < 0.3 else -generator.random()
                ngrams[ngram] = (-5 * generator.random(), back_off)
    return ngrams


def tables(ngrams: Ngrams) -> list[NgramTable]:
    found = []
    for length in range(1, max(map(len, ngrams)) + 1):
        rows = [(ngram, *values) for ngram, values in ngrams.items() if len(ngram) == length]
        words, probabilities, back_offs = zip(*rows, strict=True)
        found.append(
            NgramTable(np.array(words, np.int32), np.float32(list(probabilities)), np.float32(list(back_offs)))
        )
    return found


def slow_score(ngrams: Ngrams, history: Sequence[int], word: int) -> float:
    """The definition of back-off."""
    if (ngram := (*history, word)) in ngrams:
        return ngrams[ngram][0]
    return ngrams.get(tuple(history), (0.0, 0.0))[1] + slow_score(ngrams, history[1:], word)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_definition(seed: int) -> None:
    ngrams = random_ngrams(seed)
    model = ngram_model(WORDS, tables(ngrams), source="test")
    sentences = torch.from_numpy(np.random.default_rng(seed).integers(0, len(WORDS), (200, 9)))
    state = model.start(len(sentences))
    for position in range(sentences.shape[1]):
        histories = [[1, *sentence[:position]][-3:] for sentence in sentences.tolist()]
        ending = [slow_score(ngrams, history, 2) for history in histories]
        assert model.finish(state).tolist() == pytest.approx(ending, abs=1e-5)
        scores, state = model.score(state, sentences[:, position])
        wanted = [
            slow_score(ngrams, history, word)
            for history, word in zip(histories, sentences[:, position].tolist(), strict=True)
        ]
        assert scores.tolist() == pytest.approx(wanted, abs=1e-5)


def test_states_are_equal_where_the_futures_are() -> None:
    ngrams = {(word,): (-1.0, -0.5 if word == 3 else 0.0) for word in range(6)}
    ngrams[3, 4] = (-0.1, 0.0)  # "a b" is no context: nothing continues it
    model = ngram_model(WORDS, tables(ngrams), source="test")
    _, after_a = model.score(model.start(2), torch.tensor([3, 3]))
    _, after = model.score(after_a, torch.tensor([4, 5]))
    assert after.tolist() == [0, 0]
    assert after_a[0] != 0


def test_the_scores_of_all_words_are_those_of_each() -> None:
    model = ngram_model(WORDS, tables(random_ngrams(0)), source="test")
    _, state = model.score(model.start(3), torch.tensor([3, 4, 5]))
    scores, after = model.score_all(state)
    for word in range(len(WORDS)):
        alone, next_state = model.score(state, torch.full((3,), word))
        assert torch.equal(scores[:, word], alone)
        assert torch.equal(after[:, word], next_state)


def test_an_unknown_word_is_added_as_in_kenlm() -> None:
    ngrams = {(word,): (-1.0, 0.0) for word in range(2)}
    model = ngram_model(("<s>", "</s>"), tables(ngrams), source="test")
    scores, _ = model.score(model.start(1), torch.tensor([model.unknown]))
    assert scores.item() == pytest.approx(-100 * math.log(10))


def test_a_moved_model_is_the_same() -> None:
    model = ngram_model(WORDS, tables(random_ngrams(0)), source="test")
    moved = model.to("cpu")
    assert isinstance(moved, NgramModel)
    assert torch.equal(moved.finish(moved.start(2)), model.finish(model.start(2)))


def test_damaged_tables_are_refused() -> None:
    ngrams = {(word,): (-1.0, 0.0) for word in range(6)}
    with pytest.raises(UnsupportedCheckpoint, match="has no </s>"):
        ngram_model(("<s>", "a"), tables({(0,): (-1, 0), (1,): (-1, 0)}), source="test")
    with pytest.raises(CorruptedCheckpoint, match="'a b c', but not 'a b'"):
        ngram_model(WORDS, tables({**ngrams, (3, 3): (-1, 0), (3, 4, 5): (-1, 0)}), source="test")
    unigrams, bigrams = tables({**ngrams, (3, 4): (-1, 0)})
    double = NgramTable(*(np.repeat(each, 2, axis=0) for each in vars(bigrams).values()))
    with pytest.raises(CorruptedCheckpoint, match="'a b' twice"):
        ngram_model(WORDS, [unigrams, double], source="test")
