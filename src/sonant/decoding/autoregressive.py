"""Autoregressive decoding: greedy search and beam search over a decoder that predicts the next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from sonant.errors import ConfigurationError


class SearchState(Protocol):
    """The state of a decoder for a batch of unfinished texts."""

    def select(self, rows: Tensor, /) -> Self: ...


S = TypeVar("S", bound=SearchState)


class TextDecoder(Protocol[S]):
    """A network that predicts the next token of each text, given the encoded frames of one clip."""

    def start(self, memory: Tensor, /) -> S: ...
    def step(self, tokens: Tensor, state: S, /) -> tuple[Tensor, S]:
        """Compute logits (rows, vocabulary) of the next tokens, and the new state, from the last tokens (rows,)."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished text.

    Attributes:
        tokens: without the end token.
        score: natural logarithm of its probability, including the end token.
    """

    tokens: tuple[int, ...]
    score: float

    def normalized_score(self, length_penalty: float) -> float:
        """Return the score over the length (with the end token) to the power of `length_penalty`."""
        return self.score / (len(self.tokens) + 1) ** length_penalty


@torch.inference_mode()
def greedy(decoder: TextDecoder[S], memory: Tensor, *, end: int, max_length: int) -> Hypothesis:
    """Decode by taking the most probable token at every step.

    Args:
        memory: the encoded frames of one clip (frames, dim).
        end: the token that ends a text, and also begins one.
        max_length: largest number of tokens; a longer text is truncated.
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
    decoder: TextDecoder[S], memory: Tensor, *, end: int, max_length: int, beam: int = 5, length_penalty: float = 1.0
) -> list[Hypothesis]:
    """Decode by beam search: at most `beam` texts, the best first.

    Args:
        beam: number of unfinished texts kept at every step; 1 equals `greedy`.
        length_penalty: exponent of the length in `Hypothesis.normalized_score`, by which texts are compared.
        memory, end, max_length: as in `greedy`.

    The search ends when `beam` texts are finished and no unfinished one scores better than the worst of them. fairseq
    ends with the first `beam` finished texts; with a small vocabulary, where the end token is always among the best
    candidates, that misses better ones.
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
        # An end token counts only among the best `beam` candidates: a worse one is a text that the search has dropped.
        ended = [i for i, one in enumerate(tokens.tolist()[:beam]) if one == end and best[i].isfinite()]
        finished += [Hypothesis(texts[int(rows[i])], float(best[i])) for i in ended]
        finished = sorted(finished, key=lambda one: one.normalized_score(length_penalty), reverse=True)[:beam]
        alive = torch.nonzero((tokens != end) & best.isfinite()).flatten()[:beam]
        if not len(alive):
            break
        hope = float(best[alive[0]]) / (length + 1) ** length_penalty
        if len(finished) == beam and hope <= finished[-1].normalized_score(length_penalty):
            break
        token, scores, kept = tokens[alive], best[alive], rows[alive]
        texts = [(*texts[row], one) for row, one in zip(kept.tolist(), token.tolist(), strict=True)]
        state = state.select(kept)
    return sorted(finished, key=lambda one: one.normalized_score(length_penalty), reverse=True)[:beam]
