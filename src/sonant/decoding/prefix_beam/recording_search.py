"""A prefix beam search of one long recording, whose emissions come in parts, in little memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.prefix_beam.history import trace
from sonant.decoding.prefix_beam.result import PathPart, common_path, finish, hypotheses, path_parts
from sonant.decoding.prefix_beam.search import BEST_BLANK, EXTRA, PrefixSearch
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

    def words(self) -> tuple[Word, ...]:
        """Return the words that are certain, whatever follows: on the path that all hypotheses have in common."""
        common: list[PathPart] = []
        for section in self._sections:
            first, *others = section.paths.values()
            frames = min((first.agreement(other) for other in others), default=len(first.tokens))
            common.append(first.until(frames))
            if frames < len(first.tokens):
                break
        # The last word may go on.
        return common_path(self._search, common, self._frame_rate).words[:-1] if common else ()

    @torch.inference_mode()
    def finish(self) -> list[Hypothesis]:
        """Return the best hypotheses of the whole recording, best first."""
        found = finish(self._search)
        paths = []
        for number in found.paths[0].tolist():
            parts = []
            for section in reversed(self._sections):
                if number not in section.paths:  # of no hypothesis
                    break
                parts.append(section.paths[number])
                number = section.before[number]  # noqa: PLW2901
            paths.append(parts[::-1])
        return hypotheses(self._search, found, [paths], self._frame_rate)[0]
