"""Tests of modified Kneser-Ney smoothing: worked cases, and the laws of a distribution."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sonant.decoding.ngrams.kneser_ney import train_kneser_ney
from sonant.decoding.ngrams.tables import Ngrams, ngram_model
from sonant.errors import ConfigurationError, MeasurementError


def random_text(seed: int, lines: int = 300) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in generator.zipf(1.5, 6) % 40) for _ in range(lines)]


def values(ngrams: Ngrams) -> dict[str, tuple[float, float]]:
    """Probability and back-off factor of each n-gram, by its words."""
    return {
        " ".join(ngrams.words[number] for number in row): (math.exp(probability), math.exp(back_off))
        for table in ngrams.tables
        for row, probability, back_off in zip(
            table.words.tolist(), table.log_probabilities.tolist(), table.back_offs.tolist(), strict=True
        )
    }


def test_a_case_by_hand() -> None:
    # Of "a b" and "a c", with the discounts 0.5, 1 and 1.5. Adjusted counts of the unigrams: a 1, after <s>; b 1 and
    # c 1, after a; </s> 2, after b and c; together 5. Discounts 0.5 (a, b, c) and 1 (</s>): g = (3 * 0.5 + 1) / 5 = 0.5
    # over five words: a, b, c, </s> and <unk>.
    found = values(train_kneser_ney(["a b", "a c"], order=2, discount_fallback=True))
    assert found["<unk>"][0] == pytest.approx(0.1)
    assert found["b"][0] == pytest.approx(0.5 / 5 + 0.1)
    assert found["</s>"][0] == pytest.approx(1 / 5 + 0.1)
    assert found["<s>"] == pytest.approx((1.0, 1 / 2))  # <s> a occurs twice: (2 - 1) / 2
    assert found["<s> a"][0] == pytest.approx(1 / 2 + 1 / 2 * found["a"][0])
    assert found["a"][1] == pytest.approx((0.5 + 0.5) / 2)
    assert found["a b"][0] == pytest.approx(0.5 / 2 + 0.5 * found["b"][0])
    assert found["b </s>"][0] == pytest.approx(0.5 / 1 + 0.5 * found["</s>"][0])


def test_discounts_are_those_of_chen_and_goodman() -> None:
    # Numbers of unigrams with the counts 1 to 4: 4, 2, 1 and 1; Y = 4 / 8.
    text = ["a b c d e e f f g g g h h h h"]
    found = values(train_kneser_ney(text, order=1, discount_fallback=False))
    # </s> occurs once too: 5, 2, 1, 1 and Y = 5 / 9.
    share = 5 / 9
    discounts = [1 - 2 * share * 2 / 5, 2 - 3 * share * 1 / 2, 3 - 4 * share * 1 / 1]
    gamma = (5 * discounts[0] + 2 * discounts[1] + 2 * discounts[2]) / 16
    assert found["<unk>"][0] == pytest.approx(gamma / 10)
    assert found["h"][0] == pytest.approx((4 - discounts[2]) / 16 + gamma / 10)


@pytest.mark.parametrize("options", [{}, {"prune": (0, 0, 1)}, {"prune": (1, 1, 2, 3)}, {"vocabulary": ["w1", "w2"]}])
def test_the_probabilities_after_every_context_sum_to_one(options: dict[str, object]) -> None:
    ngrams = train_kneser_ney(random_text(0), order=4, discount_fallback=True, **options)  # type: ignore[arg-type]
    model = ngram_model(*ngrams, source="test")
    contexts = torch.arange(len(model.back_offs))
    scores, _ = model.score_all(contexts)
    scores[:, model.words.index("<s>")] = -torch.inf  # never asked for
    assert scores.exp().sum(1).numpy() == pytest.approx(1, abs=1e-5)


def test_counts_from_disk_are_those_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonant.decoding.ngrams.counts.PART_ROWS", 100)
    text = random_text(1)
    for prune in ((), (0, 1, 2)):
        whole = train_kneser_ney(text, order=3, prune=prune, discount_fallback=True)
        streamed = train_kneser_ney(
            text, order=3, prune=prune, discount_fallback=True, block_tokens=200, scratch=tmp_path
        )
        assert whole.words == streamed.words
        for one, other in zip(whole.tables, streamed.tables, strict=True):
            assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))
    assert not list(tmp_path.iterdir())


def test_pruned_ngrams_are_those_of_small_counts() -> None:
    found = values(train_kneser_ney(["a b c", "a b d", "a b d"], order=3, prune=(0, 1, 2), discount_fallback=True))
    assert {ngram for ngram in found if len(ngram.split()) == 2} == {"<s> a", "a b", "b d", "d </s>"}
    assert {ngram for ngram in found if len(ngram.split()) == 3} == {"<s> a b"}


def test_words_outside_the_vocabulary_are_unknown() -> None:
    ngrams = train_kneser_ney(["a b c", "b c a"], order=2, vocabulary=["a", "b", "x"], discount_fallback=True)
    assert ngrams.words == ["<unk>", "<s>", "</s>", "a", "b"]
    assert "a b" in values(ngrams)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(MeasurementError, match="'<s>' in line 2"):
        train_kneser_ney(["a", "<s> a"])
    with pytest.raises(MeasurementError, match="no words"):
        train_kneser_ney(["", " "])
    with pytest.raises(MeasurementError, match="None of the 1 words of the vocabulary"):
        train_kneser_ney(["a b"], vocabulary=["A"])
    with pytest.raises(MeasurementError, match="discounts of 1-grams.*--discount-fallback"):
        train_kneser_ney(["a b"])
    with pytest.raises(ConfigurationError, match="ascending"):
        train_kneser_ney(["a b"], prune=(0, 2, 1))
    with pytest.raises(ConfigurationError, match="order is 0"):
        train_kneser_ney(["a b"], order=0)
