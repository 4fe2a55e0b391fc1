"""Hypotheses of a finished prefix beam search, best first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.ctc import BestPath
from sonant.decoding.hypotheses import Hypothesis, LexiconEnds, hypothesis
from sonant.decoding.prefix_beam.combination import ENDED, HOT, LABEL, ROW, WORD
from sonant.decoding.prefix_beam.history import Array
from sonant.decoding.prefix_beam.search import BEST_BLANK, BEST_UNIT, BLANK, EXTRA, LM, UNIT, PrefixSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE
from sonant.decoding.prefix_beam.words import LexiconWords, OpenWords


class Finished(NamedTuple):
    """The best hypotheses of all recordings, each (recordings, hypotheses).

    Attributes:
        scores: of the hypotheses; -inf where there is none.
        extras: the part of what is combined with emissions.
        lm_scores: unweighted.
        places: in the beam.
        ends_with_unit: whether the most probable path does.
        entries: of a lexicon, the word that ends with the recording; -1 if none does.
    """

    scores: Tensor
    extras: Tensor
    lm_scores: Tensor
    places: Tensor
    ends_with_unit: Tensor
    entries: Tensor


def finish(search: PrefixSearch) -> Finished:
    """End the texts of a search: with their last words, and with the end of the sentence in the language model.

    A text with a delimiter at its end is the text without it: both are one hypothesis. A lexicon or a language model
    may allow none of the last words of a recording; then its hypotheses end with the last word that is finished.
    """
    parts = search.final[::-1]  # the longest recordings were the last to be set aside
    scores = torch.cat([part.scores for part in parts], 1)
    state, offset = torch.cat([part.state for part in parts]), torch.cat([part.offset for part in parts])
    beam, words, combination = search.options.beam, search.models.words, search.combination
    last, prefix, parent, label = state[..., :WORD].unbind(-1)
    total, best = torch.logaddexp(scores[BLANK], scores[UNIT]), torch.maximum(scores[BEST_BLANK], scores[BEST_UNIT])
    choices = max(1, search.columns.choices)

    stay, ended = total, torch.zeros(*total.shape, 0, device=total.device)
    lm_ended, rows = ended, state[..., ROW] if combination.is_needed else state[..., LABEL]
    if words is not None:
        outside = (last == search.delimiter) | (last == search.units.padding)
        if isinstance(words, OpenWords):
            outside |= ~words.in_word[last]
        stay = torch.where(outside, total, IMPOSSIBLE)
        reached = torch.where(outside, IMPOSSIBLE, total)[..., None].expand(-1, -1, choices)
        endings = combination.endings(state, reached)
        ended = reached + endings.gains
        lm_ended = torch.zeros_like(ended) if endings.lm_scores is None else endings.lm_scores
        new_rows = state[..., ROW, None].expand_as(ended) if endings.rows is None else endings.rows
        rows = torch.cat([rows, new_rows.flatten(1)], 1)
    candidates = torch.cat([stay, ended.flatten(1)], 1)
    unfinished = ~(candidates > IMPOSSIBLE).any(1, keepdim=True)
    candidates[:, :beam] = torch.where(unfinished, total, candidates[:, :beam])
    number = torch.arange(candidates.shape[1], device=total.device)
    slot = torch.where(number < beam, number, (number - beam) // choices)  # place in the beam of each candidate
    lm = torch.cat([scores[LM], (scores[LM][..., None] + lm_ended).flatten(1)], 1)
    if search.models.hot is not None:
        candidates = candidates + search.models.hot.ending[state[..., HOT]][:, slot]
    if search.models.lm is not None:
        alive = candidates > IMPOSSIBLE
        closing = torch.zeros_like(candidates)
        closing[alive] = combination.finish(rows[alive])
        candidates, lm = candidates + search.options.lm_weight * closing, lm + closing

    # A hypothesis that ends with a delimiter, and the one that ends there with the recording.
    same = (prefix[:, :, None] == parent[:, None, :]) & (last == search.delimiter)[:, None, :]
    matched, shorter = same.max(1)
    choice = (label // search.columns.units - 1).clamp(min=0)
    partner = shorter if words is None else beam + shorter * choices + choice
    other = torch.where(matched, candidates.gather(1, partner), IMPOSSIBLE)
    merged = candidates.clone()
    merged[:, :beam] = torch.logaddexp(candidates[:, :beam], other)
    taken = torch.zeros(merged.shape, dtype=torch.long, device=merged.device)
    taken.scatter_add_(1, partner, (other > IMPOSSIBLE).long())
    merged = torch.where(taken > 0, IMPOSSIBLE, merged)
    better = (other > IMPOSSIBLE) & (best.gather(1, shorter) > best)  # the most probable path of both is there

    score, winner = merged.topk(search.options.n_best)
    place = slot[winner]
    extra = candidates.gather(1, winner) - total.gather(1, place) + scores[EXTRA].gather(1, place)
    by_delimiter = (winner < beam) & better.gather(1, place)
    entry = torch.full_like(place, -1)
    if isinstance(words, LexiconWords):
        entry = torch.where(by_delimiter, state[..., ENDED].gather(1, place), entry)
        at_end = words.trie.word(state[..., WORD].gather(1, place), (winner - beam).clamp(min=0) % choices)
        entry = torch.where(winner >= beam, at_end, entry)
    traced = torch.where(by_delimiter, shorter.gather(1, place), place)
    return Finished(
        score.double() + offset[:, None],
        extra,
        lm.gather(1, winner),
        traced,
        (scores[BEST_UNIT] > scores[BEST_BLANK]).gather(1, traced),
        entry,
    )


def hypotheses(search: PrefixSearch, frame_rate: float) -> list[list[Hypothesis]]:
    """Return the hypotheses of each recording of a finished search, best first."""
    found = finish(search)
    units, words = search.units, search.models.words
    traces = search.history.traces(
        found.places.cpu().numpy(),
        ends_with_unit=found.ends_with_unit.cpu().numpy(),
        blank=units.blank,
        delimiter=search.delimiter,
    )
    tokens, probabilities = traces.units, np.zeros(traces.units.shape, np.float32)
    if len(tokens):
        chosen = torch.from_numpy(traces.units).to(search.device)
        probabilities = search.emissions.gather(2, chosen).exp().cpu().numpy()
        tokens = units.tokens.numpy()[traces.units]
    ends = _word_ends(search, traces.places, traces.begins) if isinstance(words, LexiconWords) else None
    scores, extras, lm_scores, entries = (
        each.tolist() for each in (found.scores, found.extras.double(), found.lm_scores, found.entries)
    )
    results: list[list[Hypothesis]] = []
    for row, length in enumerate(search.lengths):
        results.append([])
        for number, score in enumerate(scores[row]):
            if score == IMPOSSIBLE:
                continue
            at = (slice(length), row, number)
            lexicon = None
            if ends is not None and isinstance(words, LexiconWords):
                lexicon = LexiconEnds(words.lexicon.words, ends[at], entries[row][number])
            results[-1].append(
                hypothesis(
                    BestPath(tokens[at], probabilities[at]),
                    traces.begins[at],
                    units.vocabulary,
                    lexicon,
                    frame_rate=frame_rate,
                    score=score,
                    emission_score=score - extras[row][number],
                    lm_score=None if search.models.lm is None else lm_scores[row][number],
                )
            )
    return results


def _word_ends(search: PrefixSearch, places: Array, begins: NDArray[np.bool_]) -> Array:
    """Return the entry of a lexicon that ends before the unit of each frame, -1 where none does."""
    ends = np.full(places.shape, -1, np.int64)
    for frame, state in enumerate(search.history.state[1:]):
        after = state.cpu().numpy()
        rows, place = np.arange(len(after))[:, None], places[frame, : len(after)]
        ended = begins[frame, : len(after)] & (after[rows, place, LABEL] >= search.columns.units)
        ends[frame, : len(after)] = np.where(ended, after[rows, place, ENDED], -1)
    return ends
