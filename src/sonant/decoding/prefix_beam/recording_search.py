"""A prefix beam search of one long recording, whose emissions come in parts, in little memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sonant.decoding.ctc import BestPath
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.path_words import PathWords
from sonant.decoding.prefix_beam.history import Array, trace
from sonant.decoding.prefix_beam.result import PathPart, finish, hypotheses, path_parts
from sonant.decoding.prefix_beam.search import BEST_BLANK, BEST_UNIT, EXTRA, PrefixSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE
from sonant.decoding.results import Word
from sonant.layers.packed import Packed


class _Section(NamedTuple):
    """The most probable paths through one part of a recording, by their numbers after it.

    Attributes:
        paths: of the hypotheses that are kept.
        before: the number of each path before the part.
    """

    paths: dict[int, PathPart]
    before: dict[int, int]

    def only(self, numbers: set[int]) -> _Section:
        """Return the section with these paths alone."""
        return _Section({n: self.paths[n] for n in numbers}, {n: self.before[n] for n in numbers})


class RecordingSearch:
    """The search of one recording; its result is that of `PrefixBeamDecoder.decode` for the whole emission.

    Of the parts before, those paths are kept by which hypotheses came that are kept now.

    Args:
        search: of one recording.
        frame_rate: frames a second.
    """

    def __init__(self, search: PrefixSearch, frame_rate: float) -> None:
        self._search, self._frame_rate = search, frame_rate
        self._sections: list[_Section] = []
        lexicon = search.models.lexicon
        self._words = PathWords(search.units.vocabulary, frame_rate, None if lexicon is None else lexicon.lexicon.words)
        self._section, self._frame = 0, 0  # up to which all hypotheses have been found to have one path

    @torch.inference_mode()
    def append(self, emission: Tensor) -> None:
        """Go through more frames, (frames, tokens) on any device. Raises as `PrefixBeamDecoder.decode`."""
        search = self._search
        emissions = search.units.emissions(Packed.pack([emission.to(search.scores.device)]))
        if not emissions.longest:
            return
        choices = search.advance(emissions)
        best = search.scores[BEST_BLANK:EXTRA, 0].T  # (beam, 2): in the order of the numbers of paths
        ends = (best > IMPOSSIBLE).flatten().nonzero().cpu().numpy().T  # (1, paths)
        paths = trace(choices, ends, emissions.sizes, search.units)
        (parts,), numbers = path_parts(search, paths, emissions), ends[0].tolist()
        copies = [PathPart(*(each.copy() for each in part)) for part in parts]  # of views of all paths
        before = paths.first[0].tolist()
        self._sections.append(
            _Section(dict(zip(numbers, copies, strict=True)), dict(zip(numbers, before, strict=True)))
        )
        self._forget()

    def _forget(self) -> None:
        """Forget paths of earlier parts by which no hypothesis came."""
        for place in reversed(range(len(self._sections) - 1)):
            needed = set(self._sections[place + 1].before.values())
            if needed == set(self._sections[place].paths):
                break
            self._sections[place] = self._sections[place].only(needed)

    def settled(self) -> tuple[Word, ...]:
        """Return the words that became certain since the last call, whatever follows.

        They are on the path that all hypotheses have in common, whose last word may go on.
        """
        common: list[PathPart] = []
        while self._section < len(self._sections):
            first, *others = self._sections[self._section].paths.values()
            end = min((first.agreement(other) for other in others), default=len(first.tokens))
            common.append(first.between(self._frame, end))
            self._frame = end
            if end < len(first.tokens):
                break
            self._section, self._frame = self._section + 1, 0
        return self._words.append(*_frames(common))

    def ahead(self) -> tuple[Word, ...]:
        """Return the words of the best hypothesis behind those that `settled` has returned; they may change."""
        unit, blank = (float(self._search.scores[kind, 0, 0]) for kind in (BEST_UNIT, BEST_BLANK))
        parts = self._parts(int(unit > blank), self._section)
        return self._words.ahead(*_frames([part.between(0 if i else self._frame) for i, part in enumerate(parts)]))

    @torch.inference_mode()
    def finish(self) -> list[Hypothesis]:
        """Return the best hypotheses of the whole recording, best first."""
        found = finish(self._search)
        paths = [self._parts(number, 0) for number in found.paths[0].tolist()]
        return hypotheses(self._search, found, [paths], self._frame_rate)[0]

    def _parts(self, number: int, first: int) -> list[PathPart]:
        """Return the parts, from section `first` on, of the path with a number after the last one."""
        parts = []
        for section in reversed(self._sections[first:]):
            if number not in section.paths:  # of no hypothesis
                break
            parts.append(section.paths[number])
            number = section.before[number]
        return parts[::-1]


def _frames(parts: list[PathPart]) -> tuple[BestPath, Array]:
    """Return the tokens of a path in parts, and the words of a lexicon that end on it."""
    path = PathPart.joined(parts)
    return BestPath(path.tokens, path.probabilities), path.entries
