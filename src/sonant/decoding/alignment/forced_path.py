"""Viterbi alignment of units with an emission, in the topology of CTC: exact, in bounded memory, for hours of audio.

The states are blank, unit 0, blank, unit 1 ... blank. A frame stays in its state or moves on by one state; it may move
from a unit to the next one directly, unless both are equal. With e(t, u) the log-probability of unit u in frame t, and
g(t, u) = e(t, u) - max_v e(t, v) <= 0, the path that maximizes the sum of g maximizes that of e, too.

**Exactness.** Sums of g never rise along a path. A state whose sum is below that of any complete path is therefore not
on the best path, and may be dropped. A first pass, with a beam around the best state of each frame, finds a complete
path. If nothing that the beam dropped had a greater sum, its path is the best one; otherwise a second pass drops only
what is below that sum. The result is that of the full table in both cases; a text that does not fit the audio takes
longer, not more errors.

**Memory.** The states of a pass are kept every `K` frames. Walking back from the last frame, choices are computed again
for `K` frames at a time, for the units that a path can reach in them: K + 1 units before the known end.

Source: Graves et al. 2006 (the topology); Viterbi alignment in Kürzinger et al. 2020, arXiv 2007.09127.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.errors import UnalignableText

BEAM = 200.0  # nats below the best state of a frame, in the first pass
TABLE_CELLS = 32_000_000  # choices of a table that is kept whole, one byte each
PRUNE_FRAMES = 16  # between two narrowings of the band
ROUNDING = 1e-6  # nats that two sums in float64 of the same path may differ by, in hours of audio
IMPOSSIBLE = "No path through the text has a probability above 0: one of its units has none in any frame."

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ForcedPath:
    """The best path through all units.

    Attributes:
        first_frames, last_frames: int64 (units,); the frames of each unit, the last one included.
        log_probabilities: float64 (units,); mean log-probability of each unit over its frames.
        loss: sum over all frames of the path's log-probability, less the greatest of each frame; at most 0.
    """

    first_frames: Integers
    last_frames: Integers
    log_probabilities: Floats
    loss: float


def frames_needed(units: Integers) -> int:
    """Return the least number of frames for units: one for each, and a blank between two equal ones."""
    return len(units) + int((units[1:] == units[:-1]).sum())


def forced_path(
    losses: NDArray[np.float32],
    greatest: NDArray[np.float32],
    units: Integers,
    *,
    blank: int,
    table_cells: int = TABLE_CELLS,
) -> ForcedPath:
    """Align units with an emission.

    Args:
        losses: (frames, kinds), log-probabilities of the kinds of units, less the greatest one of each frame.
        greatest: (frames,), the greatest log-probability of each frame.
        units: int64 (units,), at least one; columns of `losses`.
        blank: column of the blank.
        table_cells: frames times states up to which all choices are kept; it changes memory and time alone.

    Raises:
        UnalignableText: there are more units than frames, or there is no path of a finite probability.
    """
    if (needed := frames_needed(units)) > len(losses):
        raise UnalignableText(
            f"The text needs {needed} frames, one for each of its {len(units)} units and a blank between equal ones, "
            f"and the recording has {len(losses)}: it is too short for this text. Give what is said in this recording "
            "alone."
        )
    lattice = _Lattice(losses, units, blank, table_cells)
    states = lattice.best_path()
    return _spans(states, losses[np.arange(len(losses)), lattice.columns_of(states)], greatest, len(units))


def _spans(states: Integers, losses: NDArray[np.float32], greatest: NDArray[np.float32], num_units: int) -> ForcedPath:
    """Measure the units of a path: states (frames,), of which unit i is 2 i + 1."""
    frames = np.flatnonzero(states % 2)
    starts = np.searchsorted(states[frames], 2 * np.arange(num_units) + 1)
    counts = np.diff(np.append(starts, len(frames)))
    log_probabilities = np.add.reduceat((losses + greatest)[frames].astype(np.float64), starts) / counts
    return ForcedPath(frames[starts], frames[starts + counts - 1], log_probabilities, float(losses.sum(dtype=float)))


@dataclass(frozen=True, eq=False)
class _Band:
    """Sums of the best paths to a frame, of the states in a band of units; elsewhere minus infinity.

    Attributes:
        frame: index.
        low, high: the units low ... high - 1; the blanks low ... high.
        units, blanks: float64 (high - low,) and (high - low + 1,).
    """

    frame: int
    low: int
    high: int
    units: Floats
    blanks: Floats


class _Lattice:
    """The states of units over frames.

    Args:
        losses: (frames, kinds), log-probabilities less the greatest of each frame.
        columns: int64 (units,), the column of each unit.
        blank: column of the blank.
    """

    def __init__(self, losses: NDArray[np.float32], columns: Integers, blank: int, table_cells: int) -> None:
        self._losses, self._columns, self._blank = losses, columns, blank
        self._num_frames, self._num_units = len(losses), len(columns)
        equal = columns[1:] == columns[:-1]
        self._skip = np.zeros(self._num_units)  # of the move from the unit before to this one
        self._skip[1:][equal] = -np.inf
        # Frames that the units after unit i need at least: falling with i.
        self._needed = np.cumsum(np.append(1 + equal, 0)[::-1])[::-1][: self._num_units]
        self._table_cells = table_cells

    def columns_of(self, states: Integers) -> Integers:
        """Return the column of each state."""
        return np.where(states % 2, self._columns[np.minimum(states // 2, self._num_units - 1)], self._blank)

    def best_path(self) -> Integers:
        """Return the state of each frame."""
        if self._num_frames == 1 or self._num_frames * (2 * self._num_units + 1) <= self._table_cells:
            bands = [self._first()]
            final = None
        else:
            bands, final = self._bands()
        states = np.empty(self._num_frames, np.int64)
        end = self._num_frames - 1
        for band in reversed(bands):
            states[band.frame] = final = self._walk_back(band, end, final, states)
            end = band.frame
        return states

    def _first(self) -> _Band:
        """Return the band of frame 0: the first blank and the first unit."""
        blanks = np.array([self._losses[0, self._blank], -np.inf], np.float64)
        return _Band(0, 0, 1, np.array([self._losses[0, self._columns[0]]], np.float64), blanks)

    def _bands(self) -> tuple[list[_Band], int]:
        """Return the bands to walk back from, and the last state."""
        beam = BEAM
        while True:
            bands, total, dropped = self._forward(beam=beam)
            if np.isfinite(total):
                if dropped > total:
                    bands = self._forward(least=total - ROUNDING)[0]
                break
            if np.isinf(beam):
                raise UnalignableText(IMPOSSIBLE)
            beam = beam * 8 if beam < 1e5 else np.inf
        last = bands.pop()
        return bands, 2 * self._num_units - int(last.units[-1] > last.blanks[-1])

    def _forward(self, *, beam: float = np.inf, least: float = -np.inf) -> tuple[list[_Band], float, float]:
        """Pass over all frames.

        Args:
            beam: states further below the best one of a frame are dropped.
            least: states below this sum are dropped.

        Returns:
            Bands of some frames and of the last one; the sum of the best complete path; the greatest sum dropped for
            `beam`.
        """
        count, spacing = self._num_units, self._spacing
        units, blanks = np.full(count + 1, -np.inf), np.full(count + 1, -np.inf)  # unit i is units[i + 1]
        first = self._first()
        units[1], blanks[0] = first.units[0], first.blanks[0]
        bands, low, high, dropped = [first], 0, 1, -np.inf
        for frame in range(1, self._num_frames):
            high = min(high + 1, count)
            row = self._losses[frame]
            stepped = np.maximum(units[low + 1 : high + 1], blanks[low:high])
            np.maximum(stepped, units[low:high] + self._skip[low:high], out=stepped)
            stepped += row[self._columns[low:high]]
            rested = np.maximum(blanks[low : high + 1], units[low : high + 1])
            rested += row[self._blank]
            units[low + 1 : high + 1], blanks[low : high + 1] = stepped, rested
            if frame % PRUNE_FRAMES == 0:
                best = rested.copy()  # of unit i and the blank before it
                np.maximum(best[:-1], stepped, out=best[:-1])
                kept = np.flatnonzero(best >= max(best.max() - beam, least))
                if not len(kept):  # a path of infinite loss, or none within `least`
                    return [], -np.inf, np.inf
                # What cannot reach the end in time is no loss.
                late = int(np.searchsorted(-self._needed, frame + 1 - self._num_frames)) - low
                end = min(low + int(kept[-1]) + 1, high)
                start = min(low + max(int(kept[0]), late), end - 1)
                dropped = max(dropped, best[max(late, 0) : start - low].max(initial=-np.inf))
                dropped = max(dropped, best[end - low + 1 :].max(initial=-np.inf)) if end < high else dropped
                units[low : start + 1], blanks[low:start] = -np.inf, -np.inf
                units[end + 1 : high + 1], blanks[end + 1 : high + 1] = -np.inf, -np.inf
                low, high = start, end
            if frame % spacing == 0 or frame == self._num_frames - 1:
                bands.append(_Band(frame, low, high, units[low + 1 : high + 1].copy(), blanks[low : high + 1].copy()))
        return bands, float(max(units[count], blanks[count])), dropped

    @property
    def _spacing(self) -> int:
        """Frames between two bands: the choices between them take about the memory of all bands."""
        return max(PRUNE_FRAMES, round((4 * self._num_frames * self._num_units) ** (1 / 3)))

    def _walk_back(self, band: _Band, end: int, final: int | None, states: Integers) -> int:
        """Find the best path from a band to the state `final` of frame `end`; None: the better one of the last two.

        Writes the states of the frames after the band's, and returns that of its frame.
        """
        frames = end - band.frame
        last = self._num_units if final is None else final // 2
        low, high = max(0, last - frames - 1), min(last + 1, self._num_units)
        units, blanks = (
            np.full(high - low + 1, -np.inf),
            np.full(high - low + 1, -np.inf),
        )  # unit i is units[i - low + 1]
        start, stop = max(low, band.low), min(high, band.high)
        if stop > start:
            units[start - low + 1 : stop - low + 1] = band.units[start - band.low : stop - band.low]
        stop = min(high, band.high) + 1
        if stop > start:
            blanks[start - low : stop - low] = band.blanks[start - band.low : stop - band.low]
        skip, columns = self._skip[low:high], self._columns[low:high]
        moved = np.empty((frames, high - low), np.int8)  # states that a unit was reached by: 0, 1 or 2
        entered = np.empty((frames, high - low + 1), np.bool_)  # blanks that were reached from a unit
        for number, row in enumerate(self._losses[band.frame + 1 : end + 1]):
            np.greater(units, blanks, out=entered[number])
            rested = np.maximum(units, blanks)
            rested += row[self._blank]
            stepped, skipped = np.maximum(units[1:], blanks[:-1]), units[:-1] + skip
            np.greater(blanks[:-1], units[1:], out=moved[number], casting="unsafe")
            moved[number][skipped > stepped] = 2
            np.maximum(stepped, skipped, out=stepped)
            stepped += row[columns]
            units[1:], blanks = stepped, rested
        if final is None and max(units[-1], blanks[-1]) == -np.inf:
            raise UnalignableText(IMPOSSIBLE)
        state = (2 * self._num_units - int(units[-1] > blanks[-1]) if final is None else final) - 2 * low
        for number in range(frames - 1, -1, -1):
            states[band.frame + 1 + number] = state + 2 * low
            unit, is_unit = divmod(state, 2)
            state -= int(moved[number, unit]) if is_unit else int(entered[number, unit])
        return state + 2 * low
