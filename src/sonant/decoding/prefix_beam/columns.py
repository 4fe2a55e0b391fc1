"""Columns of a prefix beam search: the units, and ends of words, by which each hypothesis may be extended."""

from __future__ import annotations

import torch
from torch import Tensor

from sonant.decoding.prefix_beam.units import IMPOSSIBLE, SearchUnits
from sonant.decoding.prefix_beam.words import LexiconWords, OpenWords


class Columns:
    """The extensions of a hypothesis at each frame.

    An extension has a label: a unit, or with a lexicon units * (1 + choice) + unit, where the word of that number
    among those of one spelling ends before the unit. `units` counts the padding unit, so that label % units is the
    unit. Labels of plain units come first; then those that end a word, all units of the first choice first.

    Attributes:
        width: number of columns.
        plain: number of columns that end no word of a lexicon.
        choices: number of words of a lexicon with one spelling, at most; 0 without a lexicon.
        ends_by_delimiter: whether the delimiter ends a word of a lexicon, not any unit that begins the next one.
        values: float32 (frames, recordings, width): the emission of each column.
        impossible: number of a column that is never chosen.
    """

    def __init__(
        self, units: SearchUnits, scored: Tensor, words: OpenWords | LexiconWords | None, tokens: int | None
    ) -> None:
        self.units = count = units.padding + 1
        lexicon = words if isinstance(words, LexiconWords) else None
        self.choices = 0 if lexicon is None else lexicon.trie.most
        values = scored.clone()
        values[..., units.blank] = IMPOSSIBLE
        if lexicon is not None and units.delimiter is not None:
            values[..., units.delimiter] = IMPOSSIBLE
        self.ends_by_delimiter = units.delimiter is not None
        self.plain, self.impossible = count, units.padding
        self._labels: Tensor | None = None
        self._by_frame = tokens is not None and tokens < units.padding - 1
        if self._by_frame:
            assert tokens is not None
            values, chosen = torch.nn.functional.pad(values, (1, 0), value=IMPOSSIBLE).topk(tokens)
            values = torch.nn.functional.pad(values, (0, 1), value=IMPOSSIBLE)
            self._labels = torch.nn.functional.pad(chosen - 1, (0, 1), value=units.padding)
            self.plain, self.impossible = tokens + 1, tokens
        self._compares = self._by_frame
        if lexicon is not None:
            labels = torch.arange(count, device=scored.device) if self._labels is None else self._labels
            if units.delimiter is None:
                begin = labels
                first = values.masked_fill(~lexicon.trie.roots[labels], IMPOSSIBLE)
                self._compares = True
            else:
                begin = labels.new_full((*labels.shape[:-1], 1), units.delimiter)
                first = scored[..., units.delimiter, None]
            ends = [begin + count * (1 + choice) for choice in range(self.choices)]
            self._labels = torch.cat([labels, *ends], -1)
            values = torch.cat([values, *[first] * self.choices], -1)
        self.values = values
        self.width = values.shape[-1]
        self._columns: Tensor | None = None
        if self._labels is not None and not self._by_frame:
            self._columns = self._labels.new_full((count * (1 + self.choices),), self.impossible)
            self._columns[self._labels] = torch.arange(self.width, device=scored.device)

    @property
    def are_units(self) -> bool:
        """True if the number of a column is its unit, at every frame."""
        return self._labels is None

    def labels(self, frame: int, count: int) -> Tensor | None:
        """Return the label of each column, (1 or recordings, width); None where it is the number of the column."""
        if self._labels is None:
            return None
        return self._labels[frame, :count] if self._by_frame else self._labels[None]

    def units_of(self, frame: int, count: int) -> Tensor | None:
        """Return the unit of each column, (1 or recordings, width); None where it is the number of the column."""
        labels = self.labels(frame, count)
        return None if labels is None else labels % self.units

    def label_of(self, frame: int, columns: Tensor) -> Tensor:
        """Return the labels of columns (recordings, beam)."""
        labels = self.labels(frame, len(columns))
        return columns if labels is None else labels.expand(len(columns), -1).gather(1, columns)

    def column_of(self, frame: int, labels: Tensor) -> Tensor:
        """Return the columns of labels (recordings, beam), an impossible one where there is none at this frame."""
        if self._columns is not None:
            return self._columns[labels]
        present = self.labels(frame, len(labels))
        if present is None:
            return labels
        found, column = (present[:, None, :] == labels[:, :, None]).max(-1)
        return torch.where(found, column, self.impossible)

    def extend(self, frame: int, total: Tensor, behind_blank: Tensor, last: Tensor, emitted: Tensor) -> Tensor:
        """Compute the score of each extension of each hypothesis, (recordings, beam, width).

        Args:
            frame: number of the frame.
            total: score of each hypothesis, (recordings, beam).
            behind_blank: its score where it ends with a blank, by which it may be extended by its last unit again.
            last: its last unit.
            emitted: emission of that unit.
        """
        count = len(total)
        values = self.values[frame, :count, None, :]
        if not self._compares:
            return (total[:, :, None] + values).scatter_(2, last[:, :, None], (behind_blank + emitted)[:, :, None])
        units = self.units_of(frame, count)
        assert units is not None
        again = units[:, None, :] == last[:, :, None]
        return torch.where(again, behind_blank[:, :, None], total[:, :, None]) + values
