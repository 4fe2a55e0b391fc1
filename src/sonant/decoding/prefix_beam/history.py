"""History of a prefix beam search, and the most probable path of a hypothesis that is read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.int64]


class Traces(NamedTuple):
    """The most probable paths of hypotheses, each (frames, recordings, hypotheses).

    Attributes:
        units: int64: the unit of every frame.
        begins: bool: whether a unit of the text begins at the frame.
        places: int64: the place in the beam after the frame.
    """

    units: Array
    begins: NDArray[np.bool_]
    places: Array


@dataclass
class SearchHistory:
    """Choices of every frame, each list one tensor (recordings, beam) a frame; recordings are the longest first.

    Attributes:
        beam: number of hypotheses.
        columns: number of extensions of a hypothesis.
        chosen: the candidate that each hypothesis was: below `beam` the hypothesis of that number kept, else
            beam + number * columns + column for an extension of hypothesis `number`.
        unit_is_best: whether the most probable path of a hypothesis before the frame ended with its unit, not blank.
        merged_with: by hypothesis before the frame: the one whose extension gives the same prefix.
        merged_is_best: by hypothesis before the frame: whether that extension is the most probable path that ends
            with a unit.
        state: states of the hypotheses, (recordings, beam, 8), before the first frame and after each; the last unit
            comes first.
    """

    beam: int
    columns: int
    chosen: list[Tensor] = field(default_factory=list)
    unit_is_best: list[Tensor] = field(default_factory=list)
    merged_with: list[Tensor] = field(default_factory=list)
    merged_is_best: list[Tensor] = field(default_factory=list)
    state: list[Tensor] = field(default_factory=list)

    def append(self, *choices: Tensor) -> None:
        """Add the choices of a frame, in the order of the attributes."""
        lists = (self.chosen, self.unit_is_best, self.merged_with, self.merged_is_best)
        for tensors, tensor in zip(lists, choices, strict=True):
            tensors.append(tensor)

    def traces(self, places: Array, *, ends_with_unit: NDArray[np.bool_], blank: int, delimiter: int) -> Traces:
        """Trace hypotheses back to the first frame.

        Args:
            places: (recordings, hypotheses): places in the beam after the last frame of each recording.
            ends_with_unit: (recordings, hypotheses): whether the best path of each ends with its unit, not blank.
            blank, delimiter: numbers of these units.
        """
        chosen, with_unit, merged, by_merging, last = (
            [tensor.cpu().numpy() for tensor in tensors]
            for tensors in (
                self.chosen,
                self.unit_is_best,
                self.merged_with,
                self.merged_is_best,
                [state[..., 0] for state in self.state],
            )
        )
        shape = (len(chosen), *places.shape)
        traces = Traces(np.full(shape, blank, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.int64))
        places, state = places.copy(), ends_with_unit.copy()
        for frame in reversed(range(len(chosen))):
            active = len(chosen[frame])
            rows = np.arange(active)[:, None]
            place, in_unit = places[:active], state[:active]
            unit = last[frame + 1][rows, place]
            traces.places[frame, :active] = place
            traces.units[frame, :active] = np.where(in_unit, unit, blank)
            choice = chosen[frame][rows, place]
            new = choice >= self.beam
            source = np.where(new, (choice - self.beam) // self.columns, choice)
            merging = ~new & in_unit & by_merging[frame][rows, source]
            source = np.where(merging, merged[frame][rows, source], source)
            extended = new | merging
            traces.begins[frame, :active] = extended
            before = last[frame][rows, source]
            repeated = np.where(extended, before == unit, ~in_unit | (before == delimiter))
            best = with_unit[frame][rows, source]
            # A repeated unit is a new one only behind a blank; a unit goes on as itself; a blank follows either.
            state[:active] = np.where(extended, ~repeated & best, ~repeated | best)
            places[:active] = source
        return traces
