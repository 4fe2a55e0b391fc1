"""One prefix beam search: all frames of a batch of recordings, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from sonant.decoding.prefix_beam.columns import Columns
from sonant.decoding.prefix_beam.combination import LAST, PREFIX, WORD, Combination, CombinedModels
from sonant.decoding.prefix_beam.history import SearchHistory
from sonant.decoding.prefix_beam.options import BeamSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE, SearchUnits

RESCALED_EVERY = 32  # frames after which the best score is set to 0, so that float32 stays exact in long recordings
DEAD, CHILDLESS = -1, -2  # hash of a place in the beam without a hypothesis, and of its parent
BLANK, UNIT, BEST_BLANK, BEST_UNIT, EXTRA, LM = range(6)


class SetAside(NamedTuple):
    """The search's attributes of the same names, of recordings that have ended."""

    scores: Tensor
    state: Tensor
    offset: Tensor


class PrefixSearch:
    """A search over the emissions of recordings, the longest first.

    Attributes:
        scores: float32 (6, recordings, beam), logarithms: the sum over the paths of a hypothesis that end with a blank
            and that over those that end with its last unit, both with everything that is combined; the most probable
            path of each kind, without that; the sum of all that is combined; and the language model's part of it,
            unweighted.
        state: int64 (recordings, beam, 8): the last unit; hashes of the prefix and of the prefix without it; the label
            of the last extension; and, if anything is combined with emissions, the states of the word, of hot words
            and of the language model, and the word that ended last.
        offset: float64 (recordings,): what was subtracted from the first four scores.
    """

    def __init__(
        self, units: SearchUnits, options: BeamSearch, models: CombinedModels, clips: Sequence[Tensor], seed: int
    ) -> None:
        self.units, self.options, self.models = units, options, models
        self.lengths = [len(clip) for clip in clips]
        self.device = clips[0].device
        self.delimiter = units.padding if units.delimiter is None else units.delimiter
        self.emissions = torch.nn.utils.rnn.pad_sequence(list(clips))  # (frames, recordings, units + 1)
        self._scored = self.emissions
        if options.silence_weight and units.delimiter is not None:
            self._scored = self._scored.clone()
            self._scored[..., self.delimiter] += options.silence_weight
        self.columns = Columns(units, self._scored, models.words, options.beam_tokens)
        self.combination = Combination(units, options, models, self.columns)
        draw = torch.Generator().manual_seed(seed)
        labels = self.columns.units * (1 + self.columns.choices)
        codes = torch.randint(-(2**63), 2**63 - 1, (labels + 1,), generator=draw)
        self._multiplier = int(codes[-1]) | 1
        self._codes = codes.to(self.device)
        self.history = SearchHistory(options.beam, self.columns.width)
        self._first_rows = torch.arange(len(clips), device=self.device)[:, None] * options.beam

        count, beam = len(clips), options.beam
        self.scores = torch.full((6, count, beam), IMPOSSIBLE, device=self.device)
        self.scores[[BLANK, BEST_BLANK], :, 0] = 0.0  # the empty prefix
        self.scores[EXTRA:] = 0.0
        nothing = [units.padding, DEAD, CHILDLESS, units.padding, 0, 0, 0, -1]
        fields = len(nothing) if self.combination.is_needed else WORD
        self._nothing = torch.tensor(nothing[:fields], device=self.device)
        hot = 0 if models.hot is None else models.hot.start
        self.state = self._nothing.repeat(count, beam, 1)
        self.state[:, 0] = torch.tensor([self.delimiter, 0, CHILDLESS, self.delimiter, 0, hot, 0, -1][:fields])
        self.offset = torch.zeros(count, dtype=torch.float64, device=self.device)
        self.final: list[SetAside] = []

    def run(self) -> None:
        """Go through all frames; recordings that end are set aside in `final`, the shortest first."""
        self.history.state.append(self.state)
        for begin, end in pairwise(sorted({0, *self.lengths})):
            self._keep(sum(length >= end for length in self.lengths))
            for frame in range(begin, end):
                self._step(frame)
        self._keep(0)

    def _keep(self, count: int) -> None:
        """Set the last recordings aside, so that `count` go on."""
        if count < len(self.state):
            self.final.append(SetAside(self.scores[:, count:], self.state[count:], self.offset[count:]))
        self.scores, self.state, self.offset = self.scores[:, :count], self.state[:count], self.offset[:count]

    def _step(self, frame: int) -> None:
        beam, width, columns = self.options.beam, self.columns.width, self.columns
        emission = self._scored[frame, : len(self.state)]
        blank, unit, best_blank, best_unit = self.scores[:EXTRA].unbind()
        last, prefix, parent, label = self.state[..., :WORD].unbind(-1)
        total, best = torch.logaddexp(blank, unit), torch.maximum(best_blank, best_unit)
        silent = last == self.delimiter
        emitted, emitted_blank = emission.gather(1, last), emission[:, self.units.blank, None]
        kept_blank = total + emitted_blank
        repeated = torch.where(silent, total, unit) + emitted

        # Extensions: by the last unit again only behind a blank, and never by a second delimiter.
        behind_blank = torch.where(silent, IMPOSSIBLE, blank)
        extended = columns.extend(frame, total, behind_blank, last, emitted)  # (recordings, beam, width)
        if self.combination.is_needed:
            stay = torch.maximum(kept_blank, repeated)
            lowest = torch.maximum(stay.amin(1), stay.amax(1) - self.options.beam_threshold)
            self.combination.add(frame, extended, self.state, lowest)

        # A hypothesis whose parent is kept too gets the extension of its parent.
        extensions = extended.view(len(last), -1)
        matched, merged_with = (prefix[:, :, None] == parent[:, None, :]).max(1)
        place = torch.where(matched, merged_with * width + columns.column_of(frame, label), columns.impossible)
        merged = extensions.gather(1, place)
        extensions.scatter_(1, place, IMPOSSIBLE)
        after_same = last.gather(1, merged_with) == last
        merged_best = torch.where(after_same, best_blank.gather(1, merged_with), best.gather(1, merged_with))
        merged_best = torch.where(merged > IMPOSSIBLE, merged_best + emitted, IMPOSSIBLE)
        repeated_best = torch.where(silent, best, best_unit) + emitted
        kept_unit = torch.logaddexp(repeated, merged)
        score, chosen = torch.cat([torch.logaddexp(kept_blank, kept_unit), extensions], 1).topk(beam)
        self.history.append(chosen, best_unit > best_blank, merged_with, merged_best > repeated_best)

        new, extension = chosen >= beam, chosen - beam
        source = torch.where(new, extension // width, chosen)
        row = (source + self._first_rows[: len(last)]).view(-1)
        added = columns.label_of(frame, extension % width)
        added_unit = added if columns.are_units else added % columns.units
        moved = self.state.view(-1, self.state.shape[-1]).index_select(0, row).view(self.state.shape)
        kept = [kept_blank, kept_unit, best + emitted_blank, torch.maximum(merged_best, repeated_best)]
        sources = torch.stack([*kept, *self.scores[EXTRA:], total, best, blank, best_blank]).flatten(1)
        sources = sources.index_select(1, row).view(-1, *new.shape)
        base = torch.where(moved[..., LAST] == added_unit, sources[8:], sources[6:8])
        base += emission.gather(1, added_unit)
        grown = sources.new_full((6, *new.shape), IMPOSSIBLE)
        grown[UNIT], grown[BEST_UNIT] = score, base[1]
        child = [added_unit, moved[..., PREFIX] * self._multiplier + self._codes[added], moved[..., PREFIX], added]
        if self.combination.is_needed:
            followed, gained = self.combination.follow(moved, source, extension, added)
            grown[EXTRA] = sources[EXTRA] + (score - base[0])
            grown[LM] = sources[LM] if gained is None else sources[LM] + gained
            child += followed
        else:
            grown[EXTRA:] = 0.0
        dead = score < score[:, :1] - self.options.beam_threshold
        dead |= score == IMPOSSIBLE
        scores = torch.where(new, grown, sources[:6])
        scores[:EXTRA].masked_fill_(dead, IMPOSSIBLE)
        state = torch.where(new[..., None], torch.stack(child, -1), moved)
        self.scores = scores
        self.state = torch.where(dead[..., None], self._nothing, state)
        self._forget()
        self.history.state.append(self.state)
        if (frame + 1) % RESCALED_EVERY == 0:
            scores[:EXTRA] -= score[:, :1]
            self.offset += score[:, 0]

    def _forget(self) -> None:
        """Remove states of the language model that no hypothesis has, those of recordings set aside included."""
        if self.combination.is_needed:
            self.state, *ended = self.combination.compact([self.state, *(part.state for part in self.final)])
            self.final = [part._replace(state=state) for part, state in zip(self.final, ended, strict=True)]

    def collided(self) -> bool:
        """Return whether two prefixes had one hash.

        If each hash belongs to one label and one hash of the prefix without it, it belongs to one prefix: the first
        prefix of a hash that another one has too would have a parent whose hash another one has too.
        """
        if not self.history.chosen:
            return False
        states = torch.cat([state.flatten(0, 1)[:, :WORD] for state in self.history.state[1:]])
        chosen = torch.cat([chosen.flatten() for chosen in self.history.chosen])
        made = states[(chosen >= self.options.beam) & (states[:, PREFIX] != DEAD)]
        made = made[made[:, PREFIX].argsort()]
        same = made[1:, PREFIX] == made[:-1, PREFIX]
        differ = (made[1:] != made[:-1]).any(1)
        reserved = (made[:, PREFIX] == 0) | (made[:, PREFIX] == CHILDLESS)
        return bool((same & differ).any() | reserved.any())
