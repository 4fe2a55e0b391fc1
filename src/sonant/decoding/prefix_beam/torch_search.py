"""A prefix beam search in torch, for any device and language model: all recordings and hypotheses at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sonant.decoding.prefix_beam.columns import Columns
from sonant.decoding.prefix_beam.extension_scores import Added, Extension, ExtensionScores
from sonant.decoding.prefix_beam.history import Choices
from sonant.decoding.prefix_beam.search import (
    BEST_BLANK,
    BEST_UNIT,
    BLANK,
    DECIDED,
    DECIDED_EVERY,
    ENTRY,
    EXTRA,
    LABEL,
    LAST,
    LM,
    PARENT,
    PREFIX,
    RESCALED_EVERY,
    ROW,
    UNIT,
    PrefixSearch,
)
from sonant.decoding.prefix_beam.units import IMPOSSIBLE
from sonant.layers.packed import Packed


class _Ended(NamedTuple):
    """The search's attributes of the same names, of recordings that have ended."""

    scores: Tensor
    states: Tensor
    offsets: Tensor


class _Chosen(NamedTuple):
    """The choices of a frame, each (recordings, beam).

    Attributes:
        candidates: below `beam` the number of a hypothesis that is kept, else beam + number * width + column for an
            extension of hypothesis `number`.
        unit_is_best: by hypothesis before the frame: whether its most probable path ends with its unit, not blank.
        merged_with: by hypothesis before the frame: the one whose extension gives the same prefix.
        merged_is_best: by hypothesis before the frame: whether that extension is the most probable path that ends
            with a unit.
    """

    candidates: Tensor
    unit_is_best: Tensor
    merged_with: Tensor
    merged_is_best: Tensor


class _Present(NamedTuple):
    """The hypotheses before a frame, and what becomes of those that stay as they are, each (recordings, beam).

    Attributes:
        total, best: sum and maximum of the probabilities of paths of both kinds, as logarithms.
        behind_blank: score by which a hypothesis may be extended by its last unit again; by a second delimiter never.
        emitted: emission of the last unit.
        blank, unit, best_blank, best_unit: scores after the frame.
    """

    total: Tensor
    best: Tensor
    behind_blank: Tensor
    emitted: Tensor
    blank: Tensor
    unit: Tensor
    best_blank: Tensor
    best_unit: Tensor


class TorchSearch(PrefixSearch):
    """A search whose steps are a few tensor operations a frame."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._extension_scores = ExtensionScores(self.options, self.models, self.fusion)

    @torch.inference_mode()
    def advance(self, emissions: Packed) -> Choices:
        scored = pad_sequence(emissions.unpack())  # (frames, recordings, units + 1)
        if self.options.silence_weight and self.units.delimiter is not None:
            scored[..., self.delimiter] += self.options.silence_weight
        columns = Columns(self.units, scored, self.models.words, self.options.beam_tokens)
        states, chosen = [self.states], []
        ended: list[_Ended] = []
        for begin, end in pairwise(sorted({0, *emissions.sizes})):
            self._set_aside(sum(size >= end for size in emissions.sizes), ended)
            for frame in range(begin, end):
                chosen.append(self._step(scored[frame, : len(self.states)], columns, frame))
                self._forget(ended)
                states.append(self.states)
        self._set_aside(0, ended)
        parts = ended[::-1]  # the longest recordings were the last to be set aside
        self.scores = torch.cat([part.scores for part in parts], 1)
        self.states, self.offsets = torch.cat([part.states for part in parts]), torch.cat([p.offsets for p in parts])
        self.frames += len(chosen)
        return self._choices(states, chosen, columns.width)

    def _set_aside(self, count: int, ended: list[_Ended]) -> None:
        """Set the last recordings aside, so that `count` go on."""
        if count < len(self.states):
            ended.append(_Ended(self.scores[:, count:], self.states[count:], self.offsets[count:]))
        self.scores, self.states, self.offsets = self.scores[:, :count], self.states[:count], self.offsets[:count]

    def _forget(self, ended: list[_Ended]) -> None:
        """Remove states of the language model that no hypothesis has, those of recordings set aside included."""
        if self.fusion is None:
            return
        states = [self.states, *(part.states for part in ended)]
        before = [each[..., ROW] for each in states]
        for each, old, new in zip(states, before, self.fusion.compact(before), strict=True):
            if new is not old:
                each[..., ROW] = new

    def _step(self, emission: Tensor, columns: Columns, frame: int) -> _Chosen:
        """Advance by one frame, whose emissions are (recordings, units + 1)."""
        last, prefix, parent, label = self.states[..., : LABEL + 1].unbind(-1)
        unit_is_best = self.scores[BEST_UNIT] > self.scores[BEST_BLANK]
        present = self._present(emission)
        extended = columns.extend(frame, present.total, present.behind_blank, last, present.emitted)
        matched, merged_with = (prefix[:, :, None] == parent[:, None, :]).max(1)
        place = merged_with * columns.width + columns.column_of(frame, label)
        merging = torch.where(matched, place, columns.impossible)
        added = None
        if self._extension_scores.is_needed:
            stay = torch.maximum(present.blank, present.unit)
            lowest = torch.maximum(stay.amin(1), stay.amax(1) - self.options.beam_threshold)
            added = self._extension_scores.add(columns, frame, extended, self.states, lowest, merging)
        extensions = extended.flatten(1)  # (recordings, beam * width), of the same memory
        merged = self._merged(present, extensions, merged_with, merging)
        candidates = torch.cat([torch.logaddexp(merged.blank, merged.unit), extensions], 1)
        score, number = candidates.topk(self.options.beam)
        decides = (self.frames + frame + 1) % DECIDED_EVERY == 0
        if decides:
            score, number = self._decide(score, number, columns.width)
        self._follow(score, number, merged, emission, columns, frame, added)
        if decides:
            self.states[..., DECIDED] = self.states[..., PREFIX]
        return _Chosen(number, unit_is_best, merged_with, merged.best_unit > present.best_unit)

    def _decide(self, score: Tensor, candidates: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Make the candidates impossible, and the last ones, that come from another prefix than the best one."""
        beam = self.options.beam
        source = torch.where(candidates >= beam, (candidates - beam) // width, candidates)
        prefix = self.states[..., DECIDED].gather(1, source)
        score = torch.where(prefix == prefix[:, :1], score, IMPOSSIBLE)
        score, order = score.sort(descending=True, stable=True)
        return score, candidates.gather(1, order)

    def _present(self, emission: Tensor) -> _Present:
        """Return the scores of the hypotheses, and those that they have after the frame if they stay as they are."""
        last = self.states[..., LAST]
        silent = last == self.delimiter
        emitted, blank = emission.gather(1, last), emission[:, self.units.blank, None]
        total, best = self.total, torch.maximum(self.scores[BEST_BLANK], self.scores[BEST_UNIT])
        return _Present(
            total,
            best,
            torch.where(silent, IMPOSSIBLE, self.scores[BLANK]),
            emitted,
            total + blank,
            torch.where(silent, total, self.scores[UNIT]) + emitted,
            best + blank,
            torch.where(silent, best, self.scores[BEST_UNIT]) + emitted,
        )

    def _merged(self, present: _Present, extensions: Tensor, merged_with: Tensor, merging: Tensor) -> _Present:
        """Give a hypothesis whose parent is kept too the extension of its parent, which is taken from the others.

        Args:
            present: the hypotheses.
            extensions: scores (recordings, beam * width), changed in place.
            merged_with: numbers of the parents.
            merging: numbers of the extensions, that of an impossible one without a parent.
        """
        last, merged = self.states[..., LAST], extensions.gather(1, merging)
        extensions.scatter_(1, merging, IMPOSSIBLE)
        again = last.gather(1, merged_with) == last
        best = torch.where(again, self.scores[BEST_BLANK].gather(1, merged_with), present.best.gather(1, merged_with))
        best = torch.where(merged > IMPOSSIBLE, best + present.emitted, IMPOSSIBLE)
        return present._replace(
            unit=torch.logaddexp(present.unit, merged), best_unit=torch.maximum(present.best_unit, best)
        )

    def _follow(
        self,
        score: Tensor,
        candidates: Tensor,
        present: _Present,
        emission: Tensor,
        columns: Columns,
        frame: int,
        added: Added | None,
    ) -> None:
        """Make the hypotheses after the frame of the candidates with the highest scores, (recordings, beam) each."""
        new, number = candidates >= self.options.beam, candidates - self.options.beam
        source = torch.where(new, number // columns.width, candidates)
        column = number % columns.width
        moved = self.states.gather(1, source[..., None].expand(self.states.shape))
        labels = columns.label_of(frame, column)
        extension = Extension(column, labels % columns.units, labels // columns.units - 1)
        kept = torch.stack([*present[4:], *self.scores[EXTRA:]])
        extended = torch.stack([present.total, present.best, self.scores[BLANK], self.scores[BEST_BLANK]])
        kept, extended = (each.gather(2, source.expand(len(each), -1, -1)) for each in (kept, extended))
        again = moved[..., LAST] == extension.unit
        base, best = torch.where(again, extended[2:], extended[:2]) + emission.gather(1, extension.unit)

        grown = torch.full_like(kept, IMPOSSIBLE)
        grown[UNIT], grown[BEST_UNIT], grown[EXTRA:] = score, best, kept[EXTRA:]
        child = moved.clone()
        if added is not None:
            grown[EXTRA] += score - base
            grown[LM] += self._extension_scores.follow(added, child, source, extension)
        child[..., LAST], child[..., PARENT], child[..., LABEL] = extension.unit, moved[..., PREFIX], labels
        child[..., PREFIX] = moved[..., PREFIX] * self.multiplier + self.label_codes[labels]
        self._keep(score, torch.where(new, grown, kept), torch.where(new[..., None], child, moved), frame)

    def _keep(self, score: Tensor, scores: Tensor, states: Tensor, frame: int) -> None:
        """Take the new hypotheses, without those that are too bad."""
        dead = (score < score[:, :1] - self.options.beam_threshold) | (score == IMPOSSIBLE)
        scores[:EXTRA].masked_fill_(dead, IMPOSSIBLE)
        if (self.frames + frame + 1) % RESCALED_EVERY == 0:
            top = torch.where(score[:, :1] > IMPOSSIBLE, score[:, :1], 0.0)
            scores[:EXTRA] -= top
            self.offsets = self.offsets + top[:, 0]
        self.scores, self.states = scores, torch.where(dead[..., None], self.nothing, states)

    def _choices(self, states: Sequence[Tensor], chosen: Sequence[_Chosen], width: int) -> Choices:
        """Return the choices of all frames, from states before the first and after each."""
        beam = self.options.beam
        if not chosen:
            return Choices.empty(0, len(self.states), beam)
        candidates, unit_is_best, merged_with, merged_is_best = (
            pad_sequence([*each, each[0].new_zeros(len(self.states), beam)], batch_first=True)[:-1]
            for each in zip(*chosen, strict=True)
        )
        all_states = pad_sequence(list(states), batch_first=True)
        before, after = all_states[:-1, ..., LAST], all_states[1:, ..., LAST]
        new = candidates >= beam
        source = torch.where(new, (candidates - beam) // width, candidates)
        merges = ~new & merged_is_best.gather(2, source)
        parent = torch.where(merges, merged_with.gather(2, source), source)
        begins = new | merges
        best = unit_is_best.gather(2, parent)
        # A repeated unit is a new one only behind a blank; a unit goes on as itself, the delimiter also behind a blank.
        in_unit = torch.where(begins, (before.gather(2, parent) != after) & best, (after != self.delimiter) | best)
        pointers = torch.stack([2 * source + unit_is_best.gather(2, source), 2 * parent + in_unit], -1)
        labels, entries = all_states[1:, ..., LABEL], all_states[1:, ..., ENTRY]
        tensors = (pointers.int(), begins, labels.int(), entries.int())
        return Choices(*(each.cpu().numpy() for each in tensors))
