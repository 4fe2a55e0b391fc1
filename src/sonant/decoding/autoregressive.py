"""Texts from a decoder that predicts one token after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from sonant.errors import ConfigurationError


class State(Protocol):
    """The state of a decoder for unfinished texts."""

    def select(self, rows: Tensor, /) -> Self: ...


S = TypeVar("S", bound=State)


class Decoder(Protocol[S]):
    """A network that continues texts, given the encoded frames of one clip."""

    def start(self, memory: Tensor, /) -> S: ...
    def step(self, tokens: Tensor, state: S, /) -> tuple[Tensor, S]:
        """The last token of each text (rows,) to the logits of the next (rows, vocabulary) and the new state."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished text.

    Attributes:
        tokens: without the end.
        score: natural logarithm of its probability, the end included.
    """

    tokens: tuple[int, ...]
    score: float

    def worth(self, length_penalty: float) -> float:
        """Return the score by which texts of different lengths are compared."""
        return self.score / (len(self.tokens) + 1) ** length_penalty


@torch.inference_mode()
def greedy(decoder: Decoder[S], memory: Tensor, *, end: int, max_length: int) -> Hypothesis:
    """The text that takes the likeliest token at every step.

    Args:
        memory: what the decoder has read of one clip (frames, dim).
        end: the token that ends a text, and begins one.
        max_length: tokens at most; a text that long is ended there.
    """
    state, token = decoder.start(memory), torch.tensor([end], device=memory.device)
    tokens: list[int] = []
    score = 0.0
    for length in range(max_length + 1):
        logits, state = decoder.step(token, state)
        log_probabilities = logits.float().log_softmax(-1)[0]
        best = end if length == max_length else int(log_probabilities.argmax())
        score += float(log_probabilities[best])
        if best == end:
            break
        tokens.append(best)
        token = torch.tensor([best], device=memory.device)
    return Hypothesis(tuple(tokens), score)


@torch.inference_mode()
def beam_search(
    decoder: Decoder[S], memory: Tensor, *, end: int, max_length: int, beam: int = 5, length_penalty: float = 1.0
) -> list[Hypothesis]:
    """The likeliest texts that a search in breadth finds, the best first, at most `beam` of them.

    Args:
        beam: unfinished texts kept at every step; 1 gives what `greedy` gives.
        length_penalty: texts are compared by their score over their length (with the end) to this power.
        memory, end, max_length: as in `greedy`.

    The search ends when `beam` texts are finished and no unfinished one, by its score so far, is better than the last
    of them. fairseq ends with the first `beam` finished, whatever is still open: of a small vocabulary, where ends are
    always among the likeliest candidates, that cuts good texts short.
    """
    if beam < 1 or max_length < 0:
        raise ConfigurationError(f"A beam of {beam} over {max_length} tokens finds nothing; give at least 1 and 0.")
    state, token = decoder.start(memory), torch.tensor([end], device=memory.device)
    texts: list[tuple[int, ...]] = [()]
    scores = torch.zeros(1, device=memory.device)
    finished: list[Hypothesis] = []
    for length in range(max_length + 1):
        logits, state = decoder.step(token, state)
        totals = scores[:, None] + logits.float().log_softmax(-1)  # (rows, vocabulary)
        if length == max_length:
            finished += [Hypothesis(text, score) for text, score in zip(texts, totals[:, end].tolist(), strict=True)]
            break
        best, places = totals.flatten().topk(min(2 * beam, totals.numel()))
        rows, tokens = places // totals.shape[1], places % totals.shape[1]
        # An end counts only among the first `beam`: behind them it would be a text that the search has dropped.
        ended = [i for i, one in enumerate(tokens.tolist()[:beam]) if one == end and best[i].isfinite()]
        finished += [Hypothesis(texts[int(rows[i])], float(best[i])) for i in ended]
        finished = sorted(finished, key=lambda one: one.worth(length_penalty), reverse=True)[:beam]
        alive = torch.nonzero((tokens != end) & best.isfinite()).flatten()[:beam]
        if not len(alive):
            break
        hope = float(best[alive[0]]) / (length + 1) ** length_penalty
        if len(finished) == beam and hope <= finished[-1].worth(length_penalty):
            break
        token, scores, kept = tokens[alive], best[alive], rows[alive]
        texts = [(*texts[row], one) for row, one in zip(kept.tolist(), token.tolist(), strict=True)]
        state = state.select(kept)
    return sorted(finished, key=lambda one: one.worth(length_penalty), reverse=True)[:beam]
