"""Autoregressive decoding: beam search over a decoder that predicts the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed


class SearchState(Protocol):
    """The state of a decoder for the unfinished texts of several clips, equally many of each."""

    def __getitem__(self, rows: Tensor, /) -> Self: ...
    def of_clips(self, clips: Tensor, /) -> Self: ...


S = TypeVar("S", bound=SearchState)


class NextTokenModel(Protocol[S]):
    """A network that predicts the next token of each text, given the encoded frames of its clip."""

    def start(self, memory: Packed, /) -> S: ...
    def step(self, tokens: Tensor, state: S, /) -> tuple[Tensor, S]:
        """Compute logits (rows, vocabulary) of the next tokens, and the new state, from the last tokens (rows,)."""


class TokenScorer(Protocol):
    """A language model over the tokens of a decoder; a state may be indexed by row numbers.

    Once a state is extended, it and all states before it are of no more use.
    """

    def start(self, count: int, /) -> Any: ...
    def extend(self, state: Any, tokens: Tensor, /) -> tuple[Tensor, Any]:
        """Return log-probabilities (rows,) of the next tokens, int64 (rows,), and the new state."""

    def finish(self, state: Any, /) -> Tensor:
        """Return log-probabilities (rows,) of the end of a text."""


@dataclass(frozen=True, kw_only=True)
class TokenSearch:
    """Settings of the search.

    Attributes:
        beam: number of unfinished texts kept of each clip; 1 is greedy search.
        length_penalty: exponent of the length, end included, by which scores are divided before texts are compared, as
            fairseq's `lenpen`; 0 compares the scores themselves, larger values favor longer texts.
        end_threshold: a text may end only if the log-probability of its end is above that of the best other token times
            this factor (Hannun et al. 2019, arXiv 1904.02619, who take 1.5); None: it always may.
        lm_weight: factor on the language model's log-probabilities, which are added to the decoder's.
    """

    beam: int = 5
    length_penalty: float = 1.0
    end_threshold: float | None = None
    lm_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.beam < 1 or self.length_penalty < 0 or self.lm_weight < 0:
            raise ConfigurationError(
                f"beam={self.beam}, length_penalty={self.length_penalty:g} and lm_weight={self.lm_weight:g} were "
                "given; expected a beam of at least 1, and no negative number."
            )
        if self.end_threshold is not None and self.end_threshold <= 0:
            raise ConfigurationError(f"end_threshold={self.end_threshold:g} was given; expected more than 0, or None.")


@dataclass(frozen=True)
class TokenHypothesis:
    """A finished text.

    Attributes:
        tokens: without the end token.
        score: decoder_score, plus lm_score times its weight.
        decoder_score: natural logarithm of its probability, end token included.
        lm_score: the same by the language model; 0 without one.
    """

    tokens: tuple[int, ...]
    score: float
    decoder_score: float
    lm_score: float = 0.0

    def normalized_score(self, length_penalty: float) -> float:
        """Return the score over the length (with the end token) to the power of `length_penalty`."""
        return self.score / (len(self.tokens) + 1) ** length_penalty


@torch.inference_mode()
def beam_search(
    decoder: NextTokenModel[S],
    memory: Packed,
    *,
    end: int,
    max_lengths: Sequence[int],
    search: TokenSearch = TokenSearch(),
    lm: TokenScorer | None = None,
) -> list[list[TokenHypothesis]]:
    """Decode clips together: at most `beam` texts of each, the best first.

    Args:
        memory: encoded frames (total_frames, dim).
        end: the token that ends a text, and also begins one.
        max_lengths: largest number of tokens for each clip; longer texts are truncated.
        lm: a language model, which scores the best 2 * beam continuations of each text.

    The search of a clip ends when `beam` texts are finished and no unfinished one scores better than the worst of them.
    fairseq ends with the first `beam` finished texts; with a small vocabulary, where the end token is always among the
    best candidates, that misses better ones.
    """
    if len(max_lengths) != len(memory) or min(max_lengths) < 0:
        raise ConfigurationError(
            f"The largest lengths {list(max_lengths)} were given for {len(memory)} clips; expected one of at least 0 "
            "for each."
        )
    beam, power, device = search.beam, search.length_penalty, memory.values.device
    clips = list(range(len(memory)))  # not yet finished
    finished: list[list[TokenHypothesis]] = [[] for _ in clips]
    state = decoder.start(memory)[torch.arange(len(clips), device=device).repeat_interleave(beam)]
    lm = lm if search.lm_weight else None
    lm_state = None if lm is None else lm.start(len(clips) * beam)
    token = torch.full((len(clips), beam), end, device=device)
    scores = torch.full((len(clips), beam), -torch.inf, device=device)
    scores[:, 0] = 0.0
    lm_scores = torch.zeros_like(scores)
    texts: list[list[_Text]] = [[None] * beam for _ in clips]
    for length in range(max(max_lengths) + 1):
        logits, state = decoder.step(token.flatten(), state)
        forced = torch.tensor([max_lengths[clip] == length for clip in clips], device=device)
        found = _candidates(logits, scores, lm_scores, forced, end, search, lm, lm_state)
        best, places = found.totals.flatten(1).topk(2 * beam)  # (clips, 2 * beam)
        width = found.totals.shape[2]
        rows = places // width
        token, scores, lm_scores = (
            x.flatten(1).gather(1, places) for x in (found.tokens, found.scores, found.lm_scores)
        )
        # An end token counts only among the best `beam` candidates: a worse one is a text that the search has dropped.
        ended = ((token == end) & best.isfinite())[:, :beam].nonzero().tolist()
        for place, column in ended:
            finished[clips[place]].append(
                TokenHypothesis(
                    _tokens(texts[place][int(rows[place, column])]),
                    float(best[place, column]),
                    float(scores[place, column]),
                    float(lm_scores[place, column]),
                )
            )
        alive = (token == end).int().argsort(dim=1, stable=True)[:, :beam]
        hopes = (best.gather(1, alive[:, :1])[:, 0] / (length + 1) ** power).tolist()
        going = []
        for place, (clip, hope) in enumerate(zip(clips, hopes, strict=True)):
            texts_of_clip = finished[clip]
            texts_of_clip.sort(key=lambda one: one.normalized_score(power), reverse=True)
            del texts_of_clip[beam:]
            is_full = len(texts_of_clip) == beam and hope <= texts_of_clip[-1].normalized_score(power)
            if hope > -torch.inf and not is_full:
                going.append(place)
        if not going:
            break
        kept = torch.tensor(going, device=device)
        parents, columns = rows.gather(1, alive)[kept], places.gather(1, alive)[kept] % width
        token, scores, lm_scores = (x.gather(1, alive)[kept] for x in (token, scores, lm_scores))
        state = state.of_clips(kept) if len(going) < len(clips) else state
        state = state[(torch.arange(len(going), device=device)[:, None] * beam + parents).flatten()]
        if found.lm_states is not None:
            lm_state = found.lm_states[(((kept[:, None] * beam) + parents) * (width - 1) + columns).flatten()]
        clips = [clips[place] for place in going]
        texts = [
            [(texts[place][parent], each) for parent, each in zip(of_clip, new, strict=True)]
            for place, of_clip, new in zip(going, parents.tolist(), token.tolist(), strict=True)
        ]
    return finished


_Text = tuple["_Text", int] | None  # the tokens of a text, the last one outside


def _tokens(text: _Text) -> tuple[int, ...]:
    tokens = []
    while text is not None:
        text, token = text
        tokens.append(token)
    return tuple(reversed(tokens))


class _Candidates(NamedTuple):
    """Texts with one more token.

    Attributes:
        tokens: int64 (clips, beam, candidates), the last one the end.
        scores, lm_scores, totals: of the same shape, of decoder and language model, and both together.
        lm_states: rows for each candidate but the ends.
    """

    tokens: Tensor
    scores: Tensor
    lm_scores: Tensor
    totals: Tensor
    lm_states: Any


def _candidates(
    logits: Tensor,
    scores: Tensor,
    lm_scores: Tensor,
    forced: Tensor,
    end: int,
    search: TokenSearch,
    lm: TokenScorer | None,
    lm_state: Any,
) -> _Candidates:
    """Continue each text with its best tokens, and its end.

    Args:
        logits: (clips * beam, vocabulary).
        scores, lm_scores: of the texts, (clips, beam).
        forced: bool (clips,), clips whose texts must end.
    """
    clips, beam = scores.shape
    log_probabilities = logits.float().log_softmax(-1).unflatten(0, (clips, beam))
    ends = log_probabilities[..., end].clone()  # (clips, beam)
    log_probabilities[..., end] = -torch.inf
    best, tokens = log_probabilities.topk(min(2 * beam, logits.shape[1] - 1))  # (clips, beam, candidates)
    best = best.masked_fill(forced[:, None, None], -torch.inf)
    if search.end_threshold is not None:
        ends = ends.masked_fill((ends <= search.end_threshold * best[..., 0]) & ~forced[:, None], -torch.inf)
    all_scores = scores[..., None] + torch.cat([best, ends[..., None]], -1)
    all_tokens = torch.cat([tokens, torch.full_like(tokens[..., :1], end)], -1)
    if lm is None:
        return _Candidates(all_tokens, all_scores, torch.zeros_like(all_scores), all_scores, None)
    rows = torch.arange(clips * beam, device=tokens.device).repeat_interleave(tokens.shape[2])
    at_end = lm.finish(lm_state)  # before the state is extended, which ends its use
    by_lm, lm_states = lm.extend(lm_state[rows], tokens.flatten())
    all_by_lm = torch.cat([by_lm.view(tokens.shape), at_end.view(clips, beam, 1)], -1)
    all_lm_scores = lm_scores[..., None] + all_by_lm
    return _Candidates(all_tokens, all_scores, all_lm_scores, all_scores + search.lm_weight * all_lm_scores, lm_states)
