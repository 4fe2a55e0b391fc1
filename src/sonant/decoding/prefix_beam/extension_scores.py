"""Scores that are combined with emissions, in torch: of words, hot words and a language model.

An extension adds a unit to a hypothesis. The scores that take long, of words that end and of a language model, are
computed for those extensions alone that may be kept (`exact`). Shapes: state (recordings, beam, 9), unit
(recordings, width), extended (recordings, beam, width), where width is the number of extensions of a hypothesis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sonant.decoding.fusion import Fusion
from sonant.decoding.prefix_beam.columns import Columns
from sonant.decoding.prefix_beam.models import CombinedModels
from sonant.decoding.prefix_beam.options import BeamSearch
from sonant.decoding.prefix_beam.search import ENTRY, HOT, LAST, ROW, UNKNOWN, WORD
from sonant.decoding.prefix_beam.units import IMPOSSIBLE


@dataclass(frozen=True)
class Endings:
    """The words that may end, each (recordings, beam, choices).

    Attributes:
        gains: what is added to the score; -inf where no word can end, or where it was not asked for.
        lm_scores: log-probability by the language model of words; 0 without one.
        rows: of the longer histories in it.
    """

    gains: Tensor
    lm_scores: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Added:
    """Properties of extensions, beside their scores.

    Attributes:
        lm_scores, lm_rows: log-probability of each unit by a language model of units, and the rows of the longer
            histories, (recordings, beam, width).
        unknown: bool (recordings, beam, width): whether no word of the language model begins as the unfinished one.
        endings: of words.
    """

    lm_scores: Tensor | None = None
    lm_rows: Tensor | None = None
    unknown: Tensor | None = None
    endings: Endings | None = None


@dataclass(frozen=True)
class Extension:
    """Extensions that were chosen, each int64 (recordings, beam).

    Attributes:
        column: as in `Columns`.
        unit: that is added.
        choice: which word ends, of those of one spelling; -1 if none of a lexicon does.
    """

    column: Tensor
    unit: Tensor
    choice: Tensor


class ExtensionScores:
    """The scores of extensions in one search, and the states of hypotheses that they depend on."""

    def __init__(self, options: BeamSearch, models: CombinedModels, fusion: Fusion | None) -> None:
        self._options, self._models, self._fusion = options, models, fusion
        self._highest = max(0.0, options.word_score) + max(0.0, options.unknown_score)
        self._has_unknown = models.open is not None and models.word_lm is not None and options.unknown_score != 0
        self.is_needed = models != CombinedModels()

    def add(
        self, columns: Columns, frame: int, extended: Tensor, state: Tensor, lowest: Tensor, merging: Tensor
    ) -> Added:
        """Add the scores of extensions, in place.

        Args:
            columns: the extensions.
            frame: number of the frame.
            extended: float32: scores of the extensions by the emission.
            state: of the hypotheses.
            lowest: float32 (recordings,): extensions that are lower are not kept.
            merging: int64 (recordings, beam): extensions that give a hypothesis of the beam, as numbers in (beam,
                width); they are exact however low.
        """
        unit = columns.units_of(frame, len(extended))
        unit = torch.arange(columns.width, device=extended.device)[None] if unit is None else unit
        unit = unit.expand(len(extended), -1)
        if self._models.hot is not None:
            extended += self._models.hot.bonus[state[..., HOT, None], unit[:, None, :]]
        if self._models.lexicon is not None:
            self._add_look_ahead(columns, extended, state, unit)
        exact = extended >= (lowest - self._highest)[:, None, None]
        exact.flatten(1).scatter_(1, merging, True)
        exact &= extended > IMPOSSIBLE
        lm_scores, lm_rows = self._add_units(extended, state, unit, exact)
        unknown = self._add_unknown(extended, state, unit, exact)
        return Added(lm_scores, lm_rows, unknown, self._add_endings(columns, extended, state, unit, exact))

    def _add_look_ahead(self, columns: Columns, extended: Tensor, state: Tensor, unit: Tensor) -> None:
        """Add the difference of the scores that a lexicon expects after and before the unit; no spelling is -inf."""
        lexicon = self._models.lexicon
        assert lexicon is not None
        plain, node = columns.plain, state[..., WORD, None]
        origin = torch.where(torch.arange(columns.width, device=unit.device) < plain, node, 0)  # of a word that begins
        after = lexicon.trie.children(origin, unit[:, None, :])
        if columns.ends_by_delimiter:
            after[..., plain:] = 0
        if lexicon.look_ahead is not None:
            extended += lexicon.look_ahead[after.clamp(min=0)] - lexicon.look_ahead[node]
        extended.masked_fill_(after < 0, IMPOSSIBLE)

    def _add_units(
        self, extended: Tensor, state: Tensor, unit: Tensor, exact: Tensor
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Add the scores of a language model of units; return them, and the rows of the longer histories."""
        numbers = self._models.lm_units
        if self._fusion is None or numbers is None:
            return None, None
        place = exact.nonzero(as_tuple=True)
        found, rows = self._fusion.score(state[..., ROW][place[:2]], numbers[unit[place[0], place[2]]])
        extended[place] += self._options.lm_weight * found
        return (
            torch.zeros_like(extended).index_put_(place, found),
            torch.zeros_like(exact, dtype=torch.long).index_put_(place, rows),
        )

    def _add_unknown(self, extended: Tensor, state: Tensor, unit: Tensor, exact: Tensor) -> Tensor | None:
        """Add the score of unknown words where one is surely spelled; return where no known word begins so."""
        words = self._models.open
        if words is None or not self._has_unknown:
            return None
        place = (exact & words.in_word[unit][:, None, :]).nonzero(as_tuple=True)
        chosen, added = state[place[:2]], unit[place[0], place[2]]
        ended = words.ends[chosen[:, LAST], added]
        unknown = ~words.may_be_known(words.after(chosen[:, WORD], ended, added))
        first = unknown & (ended | (chosen[:, ENTRY] != UNKNOWN))  # not known to be unknown before
        extended[place] += torch.where(first, self._options.unknown_score, 0.0)
        return torch.zeros_like(exact).index_put_(place, unknown)

    def _add_endings(
        self, columns: Columns, extended: Tensor, state: Tensor, unit: Tensor, exact: Tensor
    ) -> Endings | None:
        """Add the scores of words that end; return them."""
        models = self._models
        if models.lexicon is not None:
            wanted = exact[..., columns.plain :].unflatten(-1, (columns.choices, -1))
            endings = self.endings(state, wanted.any(-1))
            extended[..., columns.plain :].unflatten(-1, (columns.choices, -1)).add_(endings.gains[..., None])
            return endings
        if models.open is not None:
            ends = models.open.ends[state[..., LAST, None], unit[:, None, :]]
            endings = self.endings(state, (ends & exact).any(-1, keepdim=True))
            extended += torch.where(ends, endings.gains, 0.0)
            return endings
        return None

    def endings(self, state: Tensor, wanted: Tensor) -> Endings:
        """Return the scores of the words that end.

        Args:
            state: of the hypotheses.
            wanted: bool (recordings, beam, choices): which words are asked for, of those of one spelling.
        """
        options, models = self._options, self._models
        entry = self._entries(state)
        possible = wanted if entry is None else wanted & (entry >= 0)
        gains = torch.where(possible, options.word_score, IMPOSSIBLE)
        scores = torch.zeros_like(gains)
        rows = state[..., ROW, None].expand(gains.shape).clone()
        if self._fusion is not None and models.word_lm is not None:
            place = possible.nonzero(as_tuple=True)
            chosen = state[place[:2]]
            if entry is None:
                assert models.open is not None
                number = models.open.word(chosen[:, WORD].contiguous())
            else:
                assert models.lexicon is not None
                assert models.lexicon.numbers is not None
                number = models.lexicon.numbers[entry[place]]
            scores[place], rows[place] = self._fusion.score(chosen[:, ROW], number)
            unknown = (number == models.word_lm.unknown) & (chosen[:, ENTRY] != UNKNOWN)  # else it was added before
            gains[place] += options.lm_weight * scores[place] + torch.where(unknown, options.unknown_score, 0.0)
        return Endings(gains, scores, rows)

    def _entries(self, state: Tensor) -> Tensor | None:
        """Return the words of the lexicon that may end, (recordings, beam, choices), -1 where there is none."""
        lexicon = self._models.lexicon
        if lexicon is None:
            return None
        return lexicon.trie.word(state[..., WORD, None], torch.arange(lexicon.trie.most, device=state.device))

    def follow(self, added: Added, child: Tensor, source: Tensor, extension: Extension) -> Tensor:
        """Set the columns WORD, HOT, ROW and ENTRY of extended hypotheses, (recordings, beam, 9), in place.

        Args:
            added: what `add` returned.
            child: states that have those columns of the hypothesis before the extension, and LAST too.
            source: numbers of the hypotheses that are extended, (recordings, beam).
            extension: of each.

        Returns:
            What each extension adds to the score of the language model, (recordings, beam).
        """
        models, unit, choice = self._models, extension.unit, extension.choice.clamp(min=0)
        gained = torch.zeros(unit.shape, device=unit.device)
        if models.hot is not None:
            child[..., HOT] = models.hot.following[child[..., HOT], unit]
        if added.lm_rows is not None and added.lm_scores is not None:
            row = torch.arange(len(unit), device=unit.device)[:, None]
            child[..., ROW] = added.lm_rows[row, source, extension.column]
            gained = added.lm_scores[row, source, extension.column]
        ended = self._follow_word(added, child, source, extension)
        if ended is not None and added.endings is not None and models.word_lm is not None:
            place = source * added.endings.rows.shape[-1] + choice
            child[..., ROW] = torch.where(ended, added.endings.rows.flatten(1).gather(1, place), child[..., ROW])
            gained = torch.where(ended, added.endings.lm_scores.flatten(1).gather(1, place), 0.0)
        return gained

    def _follow_word(self, added: Added, child: Tensor, source: Tensor, extension: Extension) -> Tensor | None:
        """Set the columns WORD and ENTRY; return whether words end, None if nothing depends on words."""
        models, unit = self._models, extension.unit
        word, entry = child[..., WORD], child[..., ENTRY]
        if models.lexicon is not None:
            trie = models.lexicon.trie
            ended = extension.choice >= 0
            child[..., ENTRY] = torch.where(ended, trie.word(word, extension.choice.clamp(min=0)), entry)
            child[..., WORD] = trie.children(torch.where(ended, 0, word), unit).clamp(min=0)
            return ended
        if models.open is None:
            return None
        ended = models.open.ends[child[..., LAST], unit]
        child[..., WORD] = models.open.after(word, ended, unit)
        if added.unknown is not None:
            row = torch.arange(len(unit), device=unit.device)[:, None]
            unknown = added.unknown[row, source, extension.column]
            child[..., ENTRY] = torch.where(unknown, UNKNOWN, torch.where(ended, -1, entry))
        return ended
