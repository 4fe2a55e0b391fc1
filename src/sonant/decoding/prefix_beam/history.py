"""History of a prefix beam search, and the most probable paths of hypotheses that are read from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.prefix_beam.units import SearchUnits

Array: TypeAlias = NDArray[Any]


class Choices(NamedTuple):
    """The hypotheses that were kept at each frame, and where their most probable paths come from.

    The number of a path is 2 * place + 1 for the path of the hypothesis at a place of the beam that ends with its last
    unit, and 2 * place for the one that ends with a blank. The first three dimensions are (frames, recordings, beam);
    what is behind the end of a recording does not count.

    Attributes:
        pointers: int32 (..., 2): the path before the frame of each path after it.
        begins: bool: whether the last unit of a hypothesis begins at the frame, on the path that ends with it.
        labels: int32: label of the last extension of each hypothesis, as in `Columns`.
        entries: int32: the word of a lexicon that ended last, or -1.
    """

    pointers: Array
    begins: Array
    labels: Array
    entries: Array

    @classmethod
    def empty(cls, frames: int, recordings: int, beam: int) -> Choices:
        """Return choices to be filled in."""
        shape = (frames, recordings, beam)
        pointers, labels, entries = (np.zeros(size, np.int32) for size in ((*shape, 2), shape, shape))
        return cls(pointers, np.zeros(shape, np.bool_), labels, entries)


class Paths(NamedTuple):
    """The most probable paths of hypotheses, each (frames, recordings, paths).

    Attributes:
        numbers: of the path after each frame, as in `Choices`.
        units: the unit of each frame.
        begins: whether a unit of the text begins at the frame.
        entries: the word of a lexicon that ends before the unit of each frame, -1 where none does.
        first: (recordings, paths): numbers of the paths before the first frame.
    """

    numbers: Array
    units: Array
    begins: Array
    entries: Array
    first: Array


def trace(choices: Choices, ends: Array, lengths: Sequence[int], units: SearchUnits) -> Paths:
    """Trace paths back to the first frame.

    Args:
        ends: (recordings, paths): numbers of the paths after the last frame of each recording.
        lengths: frames of the recordings, the longest first.
        units: of the search.
    """
    frames, recordings = choices.begins.shape[:2]
    pointers = choices.pointers.reshape(frames, recordings, 2 * choices.begins.shape[2])
    rows, active = np.arange(recordings)[:, None], np.searchsorted(-np.asarray(lengths), -np.arange(frames)).tolist()
    numbers = np.zeros((frames, *ends.shape), np.int32)
    number = ends.astype(np.int32)
    for frame in reversed(range(frames)):
        count = active[frame]  # recordings that have this frame
        numbers[frame, :count] = number[:count]
        number[:count] = pointers[frame, rows[:count], number[:count]]
    places, in_unit = numbers >> 1, (numbers & 1).astype(np.bool_)
    labels = np.take_along_axis(choices.labels, places, 2)
    begins = np.take_along_axis(choices.begins, places, 2) & in_unit
    count = units.padding + 1
    entries = np.where(begins & (labels >= count), np.take_along_axis(choices.entries, places, 2), -1)
    return Paths(numbers, np.where(in_unit, labels % count, units.blank), begins, entries, number)
