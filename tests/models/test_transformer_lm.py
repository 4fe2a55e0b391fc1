"""The language model: causal, each text by itself, and long texts in windows."""

import math

import pytest
import torch

from sonant.layers.packed import Packed
from sonant.models.transformer_lm import TransformerLM, TransformerLMConfig, windows
from tests.models.language_models import small_lm


@torch.no_grad()
def test_a_text_does_not_depend_on_its_batch_nor_a_token_on_later_ones() -> None:
    model = small_lm()
    texts = [torch.randint(3, 20, (length,)) for length in (3, 9, 0, 8, 3, 1)]
    together = model.log_probabilities(Packed.pack(texts))
    for text, scores in zip(texts, together, strict=True):
        assert len(scores) == len(text) + 1
        torch.testing.assert_close(model.log_probabilities(Packed.pack([text])).values, scores)
    shorter = model.log_probabilities(Packed.pack([texts[1][:5]])).values
    torch.testing.assert_close(together.unpack()[1][:5], shorter[:5])


@torch.no_grad()
def test_probabilities_of_all_next_tokens_add_up_to_one() -> None:
    model = small_lm()
    start = torch.tensor([4, 7])
    texts = Packed.pack(torch.cat([start, torch.tensor([token])]) for token in range(20))
    scores = model.log_probabilities(texts).unpack()
    assert float(sum(score[2].exp() for score in scores)) == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_a_long_text_is_scored_in_windows() -> None:
    model, text = small_lm(), torch.randint(3, 20, (30,))
    scores = model.log_probabilities(Packed.pack([text])).values
    sequence = model.bracketed(text)
    for start, first, end in windows(31, 12):
        states = model(Packed.pack([sequence[start:end]]))
        expected = model.logits(states).log_softmax(-1).gather(1, sequence[start + 1 : end + 1, None])[:, 0]
        torch.testing.assert_close(scores[first:end], expected[first - start :])


@pytest.mark.parametrize("longest", [2, 3, 12])
@pytest.mark.parametrize("length", [1, 2, 3, 12, 13, 40])
def test_windows_score_every_step_once_with_half_a_window_of_context(length: int, longest: int) -> None:
    scored = []
    for start, first, end in windows(length, longest):
        assert end - start <= longest
        assert start == 0 or first - start >= longest // 2
        scored += range(first, end)
    assert scored == list(range(length))


def test_initial_loss_is_that_of_a_guess() -> None:
    torch.manual_seed(0)
    model = TransformerLM(TransformerLMConfig(vocabulary_size=100, dim=32, num_layers=2, num_heads=2)).eval()
    scores = model.log_probabilities(Packed.pack([torch.randint(3, 100, (50,))])).values
    assert float(-scores.mean()) == pytest.approx(math.log(100), rel=0.05)
