"""Perplexity of texts under a language model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from sonant.decoding.language_model import LanguageModel
from sonant.errors import MeasurementError

BATCH_SENTENCES = 1024


@dataclass(frozen=True)
class SentenceScore:
    """The log-probability of one sentence.

    Attributes:
        text: its words, separated by spaces.
        num_words: without the end.
        num_unknown: words that the model does not have.
        log_probability: natural logarithm, of all words and the end.
        unknown_log_probability: the part of unknown words in it.
    """

    text: str
    num_words: int
    num_unknown: int
    log_probability: float
    unknown_log_probability: float


@dataclass(frozen=True)
class TextScore(SentenceScore):
    """The log-probability of one text by tokens; its unknown words are tokens that stand for what the model lacks.

    Attributes:
        num_tokens: with the end.
    """

    num_tokens: int


@dataclass(frozen=True)
class CorpusScore:
    """Sums over sentences, and the perplexity: the exponential of the mean negative log-probability of a word.

    The end of a sentence counts as a word. Unknown words are counted with the probability of `<unk>`, or left out.
    """

    num_sentences: int
    num_words: int
    num_unknown: int
    log_probability: float
    unknown_log_probability: float

    @property
    def perplexity(self) -> float:
        """Perplexity with unknown words."""
        return math.exp(-self.log_probability / (self.num_words + self.num_sentences))

    @property
    def perplexity_of_known(self) -> float:
        """Perplexity without unknown words."""
        log_probability = self.log_probability - self.unknown_log_probability
        return math.exp(-log_probability / (self.num_words + self.num_sentences - self.num_unknown))

    @property
    def unknown_rate(self) -> float:
        """Share of unknown words, from 0 to 1."""
        return self.num_unknown / self.num_words

    def to_json(self) -> dict[str, Any]:
        """Return the sums and the perplexities."""
        derived = {name: getattr(self, name) for name in ("perplexity", "perplexity_of_known", "unknown_rate")}
        return {**vars(self), **derived}


def total(scores: Iterable[SentenceScore]) -> CorpusScore:
    """Add scores of sentences. Raises MeasurementError: there are none."""
    found = list(scores)
    if not found:
        raise MeasurementError("There is no sentence to score; expected text with one sentence a line.")
    return CorpusScore(
        len(found),
        sum(score.num_words for score in found),
        sum(score.num_unknown for score in found),
        math.fsum(score.log_probability for score in found),
        math.fsum(score.unknown_log_probability for score in found),
    )


def perplexity_per_token(scores: Sequence[TextScore]) -> float:
    """Return the perplexity by tokens of the model, ends included."""
    return math.exp(-math.fsum(score.log_probability for score in scores) / sum(score.num_tokens for score in scores))


def score_sentences(lm: LanguageModel[Any], lines: Iterable[str]) -> Iterator[SentenceScore]:
    """Score sentences, one a line, words separated by white space; empty lines are left out."""
    numbers = {word: number for number, word in enumerate(lm.words)}
    sentences = filter(None, (line.split() for line in lines))
    while batch := list(islice(sentences, BATCH_SENTENCES)):
        yield from _scored(lm, batch, [[numbers.get(word, lm.unknown) for word in words] for words in batch])


def _scored(
    lm: LanguageModel[Any], batch: Sequence[list[str]], sentences: Sequence[list[int]]
) -> Iterator[SentenceScore]:
    """Score sentences together, the longest first, so that those under way are always the first ones."""
    order = sorted(range(len(batch)), key=lambda index: -len(sentences[index]))
    lengths = torch.tensor([len(sentences[index]) for index in order])
    words = torch.nn.utils.rnn.pad_sequence([torch.tensor(sentences[index]) for index in order])  # (longest, sentences)
    sums, unknown = torch.zeros(len(batch), dtype=torch.float64), torch.zeros(len(batch), dtype=torch.float64)
    state = lm.start(len(batch))
    for position in range(len(words) + 1):
        going = int((lengths > position).sum())
        ended = torch.arange(going, int((lengths >= position).sum()))
        sums[ended] += lm.finish(state[ended.to(lm.device)]).cpu()
        if not going:
            break
        column = words[position, :going]
        scores, state = lm.score(state[torch.arange(going, device=lm.device)], column.to(lm.device))
        sums[:going] += scores.cpu()
        unknown[:going] += torch.where(column == lm.unknown, scores.cpu(), 0)
    place = {index: row for row, index in enumerate(order)}
    for index, numbers in enumerate(sentences):
        row = place[index]
        num_unknown = numbers.count(lm.unknown)
        yield SentenceScore(" ".join(batch[index]), len(numbers), num_unknown, sums[row].item(), unknown[row].item())
