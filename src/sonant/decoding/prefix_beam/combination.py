"""Scores that a prefix beam search combines with emissions: of words, hot words and a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sonant.decoding.fusion import Fusion
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.prefix_beam.columns import Columns
from sonant.decoding.prefix_beam.hot_words import HotWords
from sonant.decoding.prefix_beam.options import BeamSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE, SearchUnits
from sonant.decoding.prefix_beam.words import LexiconWords, OpenWords

LAST, PREFIX, PARENT, LABEL, WORD, HOT, ROW, ENDED = range(8)  # columns of the state of a hypothesis
UNKNOWN = -2  # ENDED of a hypothesis whose unfinished word is none of the language model


@dataclass(frozen=True)
class CombinedModels:
    """All that is combined with emissions, on one device.

    Attributes:
        words: of which texts consist; None if nothing depends on words.
        hot: words that are preferred.
        lm: language model of words, or of units.
        lm_units: int64 (units,): the number of each unit in a language model of units; None for one of words.
    """

    words: OpenWords | LexiconWords | None = None
    hot: HotWords | None = None
    lm: LanguageModel[Any] | None = None
    lm_units: Tensor | None = None


@dataclass(frozen=True)
class Endings:
    """The words that may end at a frame, each (recordings, beam, choices).

    Attributes:
        gains: what is added to the score; -inf where no word can end, or where it would not be kept.
        lm_scores: log-probability by the language model of words; None without one.
        rows: of the longer histories in it.
    """

    gains: Tensor
    lm_scores: Tensor | None = None
    rows: Tensor | None = None


class Combination:
    """The scores of extensions, and the states of hypotheses that they depend on, in one search."""

    def __init__(self, units: SearchUnits, options: BeamSearch, models: CombinedModels, columns: Columns) -> None:
        self._units, self._options, self._models, self._columns = units, options, models, columns
        self._fusion = None if models.lm is None else Fusion(models.lm)
        self._of_words = models.lm is not None and models.lm_units is None
        self._highest = options.word_score + max(0.0, options.unknown_score)
        self._all_units = torch.arange(columns.units, device=columns.values.device)[None]
        self.is_needed = models != CombinedModels()
        self._endings: Endings | None = None
        self._unknown: Tensor | None = None
        self._unit_scores: Tensor | None = None
        self._unit_rows: Tensor | None = None

    @property
    def look_ahead(self) -> Tensor | None:
        """The language model's scores by node of the lexicon, weighted."""
        words = self._models.words
        return words.look_ahead if isinstance(words, LexiconWords) else None

    def add(self, frame: int, extended: Tensor, state: Tensor, lowest: Tensor) -> None:
        """Add the scores of extensions (recordings, beam, width), in place.

        Args:
            frame: number of the frame.
            state: of the hypotheses, int64 (recordings, beam, 8).
            lowest: float32 (recordings,): extensions that are lower are not kept, so that they need no exact score.
        """
        models, columns = self._models, self._columns
        count = len(extended)
        units = columns.units_of(frame, count)
        if units is None:
            units = self._all_units
        if models.hot is not None:
            extended += models.hot.bonus[state[..., HOT, None], units[:, None, :]]
        words = models.words
        if isinstance(words, LexiconWords):
            node = state[..., WORD]
            plain = extended[..., : columns.plain]
            child = words.trie.children(node[..., None], units[:, None, : columns.plain])
            if words.look_ahead is not None:
                plain += words.look_ahead[child.clamp(min=0)] - words.look_ahead[node][..., None]
            plain.masked_fill_(child < 0, IMPOSSIBLE)
        if self._fusion is not None and models.lm_units is not None:
            self._score_units(extended, state, units, lowest)
        if isinstance(words, LexiconWords):
            ending = extended[..., columns.plain :].unflatten(-1, (columns.choices, -1))
            self._endings = self.endings(state, ending.amax(-1), lowest)
            ending += self._endings.gains[..., None]
        elif isinstance(words, OpenWords):
            if self._of_words and self._options.unknown_score:
                self._score_unknown(words, extended, state, units, lowest)
            if words.only_delimiter and columns.are_units:
                ending = extended[..., self._units.delimiter, None]
                ends = words.in_word[state[..., LAST], None]
            else:
                ending = extended
                ends = words.ends[state[..., LAST, None], units[:, None, :]]
            reached = torch.where(ends, ending, IMPOSSIBLE).amax(-1, keepdim=True)
            self._endings = self.endings(state, reached, lowest)
            ending += torch.where(ends, self._endings.gains, 0.0)

    def endings(self, state: Tensor, reached: Tensor, lowest: Tensor | None = None) -> Endings:
        """Return the scores of the words that end.

        Args:
            state: of the hypotheses.
            reached: float32 (recordings, beam, choices): highest score of an extension that ends the word, without
                that of the word; -inf where none ends.
            lowest: as in `add`; None: every word that may end counts.
        """
        options, words = self._options, self._models.words
        choices = reached.shape[-1]
        possible = reached > IMPOSSIBLE
        entry = torch.zeros((), dtype=torch.long, device=reached.device)
        if isinstance(words, LexiconWords):
            entry = words.trie.word(state[..., WORD, None], torch.arange(choices, device=reached.device))
            possible &= entry >= 0
        if self._fusion is None or not self._of_words:
            gains = torch.where(possible, options.word_score, IMPOSSIBLE)
            return Endings(gains)
        assert self._models.lm is not None
        assert words is not None
        ahead = 0.0 if self.look_ahead is None else self.look_ahead[state[..., WORD, None]]
        if lowest is not None:
            possible &= reached - ahead + self._highest >= lowest[:, None, None]
        places = possible.flatten().nonzero().squeeze(1)
        gains = torch.full(reached.shape, IMPOSSIBLE, device=reached.device)
        scores, rows = torch.zeros_like(gains), torch.zeros(reached.shape, dtype=torch.long, device=reached.device)
        if not len(places):
            return Endings(gains, scores, rows)
        chosen = state.flatten(0, 1)[places // choices]
        if isinstance(words, LexiconWords):
            assert words.numbers is not None
            number = words.numbers[entry.flatten()[places]]
        else:
            number = words.word(chosen[:, WORD].contiguous())
        found, found_rows = self._fusion.score(chosen[:, ROW], number)
        gained = options.lm_weight * found + options.word_score
        unknown = number == self._models.lm.unknown
        unknown &= chosen[:, ENDED] != UNKNOWN  # whose score was added before
        gained = torch.where(unknown, gained + options.unknown_score, gained)
        gains.view(-1)[places] = gained
        scores.view(-1)[places] = found
        rows.view(-1)[places] = found_rows
        return Endings(gains - ahead, scores, rows)

    def _score_unknown(self, words: OpenWords, extended: Tensor, state: Tensor, units: Tensor, lowest: Tensor) -> None:
        """Add the score of unknown words to extensions after which no word of the language model is possible."""
        width = extended.shape[-1]
        bound = lowest[:, None, None] - max(0.0, self._options.unknown_score)
        likely = (extended >= bound) & words.in_word[units][:, None, :]
        self._unknown = torch.zeros(extended.shape, dtype=torch.bool, device=extended.device)
        places = likely.flatten().nonzero().squeeze(1)
        unit = units.expand(len(extended), -1)[places // extended[0].numel(), places % width]
        chosen = state.flatten(0, 1)[places // width]
        ended = words.ends[chosen[:, LAST], unit]
        unknown = ~words.may_be_known(words.after(chosen[:, WORD], ended, unit))
        self._unknown.view(-1)[places] = unknown
        places = places[unknown & (ended | (chosen[:, ENDED] != UNKNOWN))]
        extended.view(-1)[places] += self._options.unknown_score

    def _score_units(self, extended: Tensor, state: Tensor, units: Tensor, lowest: Tensor) -> None:
        """Add the scores of a language model of units to the extensions that may be kept."""
        assert self._fusion is not None
        assert self._models.lm_units is not None
        bound = lowest[:, None, None] - max(0.0, self._options.word_score)
        places = (extended >= bound).flatten().nonzero().squeeze(1)
        self._unit_scores = torch.zeros(extended.numel(), device=extended.device)
        self._unit_rows = torch.zeros(extended.numel(), dtype=torch.long, device=extended.device)
        if not len(places):
            return
        width = extended.shape[-1]
        unit = units.expand(len(extended), -1)[places // extended[0].numel(), places % width]
        found, rows = self._fusion.score(state.flatten(0, 1)[places // width, ROW], self._models.lm_units[unit])
        extended.view(-1)[places] += self._options.lm_weight * found
        self._unit_scores[places], self._unit_rows[places] = found, rows

    def follow(
        self, moved: Tensor, source: Tensor, extension: Tensor, label: Tensor
    ) -> tuple[list[Tensor], Tensor | None]:
        """Return the states WORD, HOT, ROW and ENDED after the chosen extensions, each (recordings, beam).

        Args:
            moved: states of the hypotheses that were extended or kept.
            source: their numbers in the beam.
            extension: number of the extension, below 0 where there is none and the result does not count.
            label: of the extension.

        Returns:
            The states, and what each extension adds to the score of the language model, (recordings, beam).
        """
        models, columns = self._models, self._columns
        unit, choice = label % columns.units, label // columns.units - 1
        word, hot, row, entry = moved[..., WORD], moved[..., HOT], moved[..., ROW], moved[..., ENDED]
        gained: Tensor | None = None
        if models.hot is not None:
            hot = models.hot.following[hot, unit]
        if self._unit_rows is not None and self._unit_scores is not None:
            place = extension.clamp(min=0) + torch.arange(len(moved), device=moved.device)[:, None] * (
                moved.shape[1] * columns.width
            )
            row, gained = self._unit_rows[place], self._unit_scores[place]
        words = models.words
        if words is not None:
            assert self._endings is not None
            if isinstance(words, LexiconWords):
                ended = choice >= 0
                entry = torch.where(ended, words.trie.word(word, choice.clamp(min=0)), entry)
                origin = torch.where(ended, 0, word)
                word = words.trie.children(origin, unit).clamp(min=0)
            else:
                ended = words.ends[moved[..., LAST], unit]
                word = words.after(word, ended, unit)
                if self._unknown is not None:
                    place = extension.clamp(min=0)
                    entry = torch.where(
                        self._unknown.flatten(1).gather(1, place), UNKNOWN, torch.where(ended, -1, entry)
                    )
            if self._endings.rows is not None and self._endings.lm_scores is not None:
                place = source * self._endings.rows.shape[-1] + choice.clamp(min=0)
                row = torch.where(ended, self._endings.rows.flatten(1).gather(1, place), row)
                gained = torch.where(ended, self._endings.lm_scores.flatten(1).gather(1, place), 0.0)
        return [word, hot, row, entry], gained

    def compact(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Forget the states of the language model that no hypothesis has; return the hypotheses' states.

        Args:
            states: of all hypotheses, those of the recordings that have ended included.
        """
        if self._fusion is None:
            return list(states)
        before = [state[..., ROW] for state in states]
        after = self._fusion.compact(before)
        return [
            state if new is old else torch.cat([state[..., :ROW], new[..., None], state[..., ROW + 1 :]], -1)
            for state, old, new in zip(states, before, after, strict=True)
        ]

    def finish(self, rows: Tensor) -> Tensor:
        """Return the log-probability by the language model that the texts of histories end, 0 without one."""
        return torch.zeros(rows.shape, device=rows.device) if self._fusion is None else self._fusion.finish(rows)
