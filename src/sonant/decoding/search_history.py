"""History of a prefix beam search, and the most probable path of a hypothesis that is read from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.int64]


@dataclass
class SearchHistory:
    """Choices of every frame, each list one tensor (recordings, beam) a frame; recordings are the longest first.

    Attributes:
        beam: number of hypotheses.
        columns: number of units by which a hypothesis could be extended.
        chosen: the candidate that each hypothesis was: below `beam` the hypothesis of that number kept, else
            beam + number * columns + column for an extension of hypothesis `number`.
        last: last unit of each hypothesis, before the first frame and after each.
        unit_is_best: whether the most probable path of a hypothesis before the frame ended with its unit, not blank.
        merged_with: by hypothesis before the frame: the one whose extension gives the same prefix.
        merged_is_best: by hypothesis before the frame: whether that extension is the most probable path that ends
            with a unit.
    """

    beam: int
    columns: int
    chosen: list[Tensor] = field(default_factory=list)
    last: list[Tensor] = field(default_factory=list)
    unit_is_best: list[Tensor] = field(default_factory=list)
    merged_with: list[Tensor] = field(default_factory=list)
    merged_is_best: list[Tensor] = field(default_factory=list)

    def append(self, *choices: Tensor) -> None:
        """Add the choices of a frame, in the order of the attributes."""
        lists = (self.chosen, self.last, self.unit_is_best, self.merged_with, self.merged_is_best)
        for tensors, tensor in zip(lists, choices, strict=True):
            tensors.append(tensor)

    def paths(
        self, slots: Array, *, ends_with_unit: NDArray[np.bool_], blank: int, delimiter: int
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Trace hypotheses back to the first frame.

        Args:
            slots: (recordings, hypotheses): places in the beam after the last frame of each recording.
            ends_with_unit: (recordings, hypotheses): whether the best path of each ends with its unit, not blank.

        Returns:
            The unit of every frame, int64 (frames, recordings, hypotheses), and whether a unit of the text begins
            there.
        """
        frames = len(self.chosen)
        chosen, last, with_unit, merged, by_merging = (
            [tensor.cpu().numpy() for tensor in tensors]
            for tensors in (self.chosen, self.last, self.unit_is_best, self.merged_with, self.merged_is_best)
        )
        path = np.full((frames, *slots.shape), blank, np.int64)
        begins = np.zeros((frames, *slots.shape), np.bool_)
        slots, state = slots.copy(), ends_with_unit.copy()
        for frame in reversed(range(frames)):
            active = len(chosen[frame])
            rows = np.arange(active)[:, None]
            slot, in_unit = slots[:active], state[:active]
            unit = last[frame + 1][rows, slot]
            path[frame, :active] = np.where(in_unit, unit, blank)
            choice = chosen[frame][rows, slot]
            new = choice >= self.beam
            source = np.where(new, (choice - self.beam) // self.columns, choice)
            merging = ~new & in_unit & by_merging[frame][rows, source]
            source = np.where(merging, merged[frame][rows, source], source)
            extended = new | merging
            begins[frame, :active] = extended
            before = last[frame][rows, source]
            repeated = np.where(extended, before == unit, ~in_unit | (before == delimiter))
            best = with_unit[frame][rows, source]
            # A repeated unit is a new one only behind a blank; a unit goes on as itself; a blank follows either.
            state[:active] = np.where(extended, ~repeated & best, ~repeated | best)
            slots[:active] = source
        return path, begins
