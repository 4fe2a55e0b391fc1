"""Hypotheses of a finished prefix beam search, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sonant.decoding.ctc import BestPath
from sonant.decoding.hypotheses import Hypothesis, LexiconEnds, hypothesis
from sonant.decoding.prefix_beam.extension_scores import ExtensionScores
from sonant.decoding.prefix_beam.history import Array, Paths
from sonant.decoding.prefix_beam.search import (
    BEST_BLANK,
    BEST_UNIT,
    ENTRY,
    EXTRA,
    HOT,
    LABEL,
    LAST,
    LM,
    PARENT,
    PREFIX,
    ROW,
    WORD,
    PrefixSearch,
)
from sonant.decoding.prefix_beam.units import IMPOSSIBLE
from sonant.layers.packed import Packed


class Finished(NamedTuple):
    """The best hypotheses of all recordings, each (recordings, hypotheses).

    Attributes:
        scores: of the hypotheses; -inf where there is none.
        extras: the part of what is combined with emissions.
        lm_scores: unweighted.
        paths: numbers of the most probable paths, as in `Choices`.
        entries: of a lexicon, the word that ends with the recording; -1 if none does.
    """

    scores: Tensor
    extras: Tensor
    lm_scores: Tensor
    paths: Tensor
    entries: Tensor


class _Texts(NamedTuple):
    """The texts as which the hypotheses of a beam may end, each (recordings, texts).

    Those in which no word ends come first, one for each hypothesis; then come those in which a word ends, for each
    hypothesis as many as there are words with one spelling.

    Attributes:
        scores: -inf where a text is impossible.
        lm_scores: unweighted.
        rows: of the language model.
    """

    scores: Tensor
    lm_scores: Tensor
    rows: Tensor


def _possible_texts(search: PrefixSearch, choices: int) -> _Texts:
    """End the words of all hypotheses.

    A lexicon or a language model may allow none of the last words of a recording; then its hypotheses end with the
    last word that is finished.
    """
    state, total, models = search.states, search.total, search.models
    last, lm_scores = state[..., LAST], search.scores[LM]
    if models.words is None:
        return _Texts(total, lm_scores, state[..., ROW])
    outside = (last == search.delimiter) | (last == search.units.padding)
    if models.open is not None:
        outside |= ~models.open.in_word[last]
    wanted = (~outside & (total > IMPOSSIBLE))[..., None].expand(-1, -1, choices)
    endings = ExtensionScores(search.options, models, search.fusion).endings(state, wanted)
    ended = total[..., None] + endings.gains
    if models.lexicon is not None and models.lexicon.look_ahead is not None:
        ended -= models.lexicon.look_ahead[state[..., WORD, None]]
    stay = torch.where(outside, total, IMPOSSIBLE)
    unfinished = ~((stay > IMPOSSIBLE).any(1) | (ended > IMPOSSIBLE).flatten(1).any(1))
    return _Texts(
        torch.cat([torch.where(unfinished[:, None], total, stay), ended.flatten(1)], 1),
        torch.cat([lm_scores, (lm_scores[..., None] + endings.lm_scores).flatten(1)], 1),
        torch.cat([state[..., ROW], endings.rows.flatten(1)], 1),
    )


def finish(search: PrefixSearch) -> Finished:
    """End the texts of a search: with their last words, and with the end of the sentence in the language model.

    A text with a delimiter at its end is the text without it: both are one hypothesis.
    """
    scores, state, beam, models = search.scores, search.states, search.options.beam, search.models
    last, prefix, parent, label = (state[..., field] for field in (LAST, PREFIX, PARENT, LABEL))
    choices = max(1, models.choices)
    candidates, lm, rows = _possible_texts(search, choices)
    number = torch.arange(candidates.shape[1], device=candidates.device)
    slot = torch.where(number < beam, number, (number - beam) // choices)  # place in the beam of each text
    if models.hot is not None:
        candidates = candidates + models.hot.ending[state[..., HOT]][:, slot]
    if search.fusion is not None:
        alive = candidates > IMPOSSIBLE
        closing = torch.zeros_like(candidates)
        closing[alive] = search.fusion.finish(rows[alive])
        candidates, lm = candidates + search.options.lm_weight * closing, lm + closing

    # A hypothesis that ends with a delimiter, and the one that ends there with the recording.
    same = (prefix[:, :, None] == parent[:, None, :]) & (last == search.delimiter)[:, None, :]
    matched, shorter = same.max(1)
    choice = (label // (search.units.padding + 1) - 1).clamp(min=0)
    partner = shorter if models.words is None else beam + shorter * choices + choice
    other = torch.where(matched, candidates.gather(1, partner), IMPOSSIBLE)
    merged = candidates.clone()
    merged[:, :beam] = torch.logaddexp(candidates[:, :beam], other)
    taken = torch.zeros(merged.shape, dtype=torch.long, device=merged.device)
    taken.scatter_add_(1, partner, (other > IMPOSSIBLE).long())
    merged = torch.where(taken > 0, IMPOSSIBLE, merged)
    best = torch.maximum(scores[BEST_BLANK], scores[BEST_UNIT])
    better = (other > IMPOSSIBLE) & (best.gather(1, shorter) > best)  # the most probable path of both is there

    score, winner = merged.topk(search.options.n_best)
    place = slot[winner]
    extra = candidates.gather(1, winner) - search.total.gather(1, place) + scores[EXTRA].gather(1, place)
    by_delimiter = (winner < beam) & better.gather(1, place)
    entry = torch.full_like(place, -1)
    if models.lexicon is not None:
        entry = torch.where(by_delimiter, state[..., ENTRY].gather(1, place), entry)
        at_end = models.lexicon.trie.word(state[..., WORD].gather(1, place), (winner - beam).clamp(min=0) % choices)
        entry = torch.where(winner >= beam, at_end, entry)
    traced = torch.where(by_delimiter, shorter.gather(1, place), place)
    path = 2 * traced + (scores[BEST_UNIT] > scores[BEST_BLANK]).gather(1, traced)
    return Finished(score.double() + search.offsets[:, None], extra, lm.gather(1, winner), path, entry)


class PathPart(NamedTuple):
    """Frames of the most probable path of a hypothesis, each (frames,).

    Attributes:
        tokens: of the vocabulary.
        probabilities: float32, of those tokens.
        begins: bool: whether a unit of the text begins.
        entries: the word of a lexicon that ends before the unit, -1 where none does.
    """

    tokens: Array
    probabilities: Array
    begins: Array
    entries: Array

    @classmethod
    def joined(cls, parts: Sequence[PathPart]) -> PathPart:
        """Return the path of consecutive parts."""
        kinds = (np.int64, np.float32, np.bool_, np.int32)
        return cls(*(np.concatenate([np.empty(0, kinds[i]), *(part[i] for part in parts)]) for i in range(len(kinds))))

    def between(self, first: int, end: int | None = None) -> PathPart:
        """Return the path from a frame on, up to the frame `end`."""
        return PathPart(*(each[first:end] for each in self))

    def agreement(self, other: PathPart) -> int:
        """Return the number of frames from the first one on in which both are the same."""
        differs = (self.tokens != other.tokens) | (self.begins != other.begins) | (self.entries != other.entries)
        return int(differs.argmax()) if differs.any() else len(differs)


def path_parts(search: PrefixSearch, paths: Paths, emissions: Packed) -> list[list[PathPart]]:
    """Return each path of each recording."""
    frame = torch.arange(len(paths.units))[:, None] + emissions.offsets[:-1]
    frame = frame.clamp(max=max(0, len(emissions.values) - 1)).to(emissions.values.device)
    unit = torch.from_numpy(paths.units).to(frame.device)
    probabilities = emissions.values[frame[..., None], unit].exp().cpu().numpy()
    tokens = search.units.tokens.numpy()[paths.units]
    arrays = (tokens, probabilities, paths.begins, paths.entries)
    return [
        [PathPart(*(array[:size, row, number] for array in arrays)) for number in range(tokens.shape[2])]
        for row, size in enumerate(emissions.sizes)
    ]


def hypotheses(
    search: PrefixSearch, found: Finished, paths: Sequence[Sequence[Sequence[PathPart]]], frame_rate: float
) -> list[list[Hypothesis]]:
    """Return the hypotheses of each recording of a finished search, best first.

    Args:
        search: that is finished.
        found: what `finish` returned.
        paths: the parts of the path of each hypothesis of each recording, from the first frame on.
        frame_rate: frames a second.
    """
    scores, extras, lm_scores, entries = (
        each.tolist() for each in (found.scores, found.extras.double(), found.lm_scores, found.entries)
    )
    return [
        [
            _hypothesis(
                search,
                parts,
                entries[row][number],
                frame_rate=frame_rate,
                score=scores[row][number],
                emission_score=scores[row][number] - extras[row][number],
                lm_score=None if search.models.lm is None else lm_scores[row][number],
            )
            for number, parts in enumerate(of_recording)
            if scores[row][number] > IMPOSSIBLE
        ]
        for row, of_recording in enumerate(paths)
    ]


def _hypothesis(search: PrefixSearch, parts: Sequence[PathPart], last: int, **numbers: Any) -> Hypothesis:
    """Return the hypothesis of a path in parts, with which the word `last` of a lexicon ends; -1: none."""
    path = PathPart.joined(parts)
    lexicon = search.models.lexicon
    ends = None if lexicon is None else LexiconEnds(lexicon.lexicon.words, path.entries, last)
    best = BestPath(path.tokens, path.probabilities)
    return hypothesis(best, path.begins, search.units.vocabulary, ends, **numbers)
