"""Rescoring: the formula of the paper, whatever the batch, and perplexities by hand."""

import math

import pytest
import torch

from sonant.data.text_tokenizers import SPECIALS, UnitTokenizer
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.perplexity import perplexity_per_token, score_sentences, total
from sonant.decoding.rescoring import Rescoring, rescore
from sonant.decoding.results import Word
from sonant.decoding.text_scores import TextScorer
from sonant.decoding.transformer_model import TransformerLanguageModel
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from tests.models.language_models import small_lm

WORDS = UnitTokenizer([*SPECIALS, *"the cat sat on a mat".split()], "words")
TEXTS = ["THE CAT SAT", "the mat", "", "a cat sat on the mat on a cat on the mat on a mat", "THE DOG"]


def scorer(**more: int) -> TextScorer:
    return TextScorer(small_lm(len(WORDS)), WORDS, normalization="lower", **more)


def hypothesis(text: str, emission: float, lm: float | None = None) -> Hypothesis:
    words = tuple(Word(each, 0, 1, 1.0) for each in text.split())
    return Hypothesis(text, words, 1.0, (), emission, emission, lm)


def test_scores_do_not_depend_on_the_batch_nor_on_case() -> None:
    together = scorer().score([*TEXTS, "The Cat sat"])
    for batch_tokens in (1, 9):
        for one, other in zip(together, scorer(batch_tokens=batch_tokens).score([*TEXTS, "The Cat sat"]), strict=True):
            assert one.num_tokens == other.num_tokens
            assert one.log_probability == pytest.approx(other.log_probability, rel=1e-5)
    assert together[0] == together[5]
    counts = [(score.num_tokens, score.num_words, score.num_unknown) for score in together[:5]]
    assert counts == [(4, 3, 0), (3, 2, 0), (1, 0, 0), (16, 15, 0), (3, 2, 1)]
    tokens = torch.tensor(WORDS.encode("the mat"))
    by_hand = scorer().model.log_probabilities(Packed.pack([tokens])).values.sum()
    assert together[1].log_probability == pytest.approx(float(by_hand), rel=1e-5)
    assert scorer().score([]) == []


def test_hypotheses_are_ranked_by_the_formula() -> None:
    lm = scorer()
    first, second, third = (score.log_probability for score in lm.score(["THE CAT", "A MAT SAT", "ON"]))
    both = [hypothesis("THE CAT", -3.0, -7.0), hypothesis("A MAT SAT", -5.0, -1.0)]
    lists = [both, [hypothesis("ON", -2.0, -4.0)], []]
    weights = Rescoring(lm_weight=0.7, word_score=-0.4, search_lm_weight=0.2)
    found = rescore(lists, lm, weights)
    expected = {
        "THE CAT": -3 + 0.7 * first - 0.4 * 2 - 0.2 * 7,
        "A MAT SAT": -5 + 0.7 * second - 0.4 * 3 - 0.2 * 1,
        "ON": -2 + 0.7 * third - 0.4 - 0.2 * 4,
    }
    for hypotheses in found:
        assert [each.score for each in hypotheses] == pytest.approx([expected[each.text] for each in hypotheses])
        assert [each.score for each in hypotheses] == sorted((each.score for each in hypotheses), reverse=True)
    assert [len(hypotheses) for hypotheses in found] == [2, 1, 0]
    best = rescore(lists, lm, Rescoring(lm_weight=0.0, word_score=3.0))[0][0]
    assert (best.text, best.score, best.emission_score) == ("A MAT SAT", 4.0, -5.0)
    assert best.lm_score == pytest.approx(second)


def test_equal_scores_keep_their_order() -> None:
    lists = [[hypothesis("THE CAT", -3.0), hypothesis("ON A", -3.0), hypothesis("A ON", -3.0)]]
    assert [each.text for each in rescore(lists, scorer(), Rescoring(lm_weight=0.0))[0]] == ["THE CAT", "ON A", "A ON"]
    with pytest.raises(ConfigurationError, match="without a language model"):
        rescore(lists, scorer(), Rescoring(search_lm_weight=0.5))
    with pytest.raises(ConfigurationError, match="finite"):
        Rescoring(lm_weight=math.nan)


def test_perplexities_count_the_ends() -> None:
    scores = scorer().score(["the mat", "the dog"])
    found = total(scores)
    assert (found.num_sentences, found.num_words, found.num_unknown) == (2, 4, 1)
    assert found.perplexity == perplexity_per_token(scores) == pytest.approx(math.exp(-found.log_probability / 6))
    words = TransformerLanguageModel(scorer().model, WORDS)  # the protocol of n-grams gives the same
    by_protocol = total(score_sentences(words, ["the mat", "the dog"]))
    assert by_protocol.perplexity == pytest.approx(found.perplexity)
    assert by_protocol.perplexity_of_known == pytest.approx(found.perplexity_of_known)
