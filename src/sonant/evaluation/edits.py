"""Edit distance and alignment of two sequences: the errors of recognition.

Columns of the table of Levenshtein 1966, for a reference r and a hypothesis h,

    d[i, j] = min(d[i-1, j] + 1, d[i-1, j-1] + (r[i] != h[j]), d[i, j-1] + 1),

differ by -1, 0 or 1 from row to row, so that a column is two sets of rows: those where it rises, and those where it
falls. A Python integer holds a set, and one unit of the hypothesis takes a dozen operations on integers.

Source: Myers, Journal of the ACM 1999; Hyyrö, "Explaining and extending the bit-parallel approximate string matching
algorithm of Myers", 2001.
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

EditKind = Literal["hit", "substitution", "deletion", "insertion"]


class AlignedPair(NamedTuple):
    """One step of an alignment: a unit of the reference beside one of the hypothesis, or beside nothing (None)."""

    reference: str | None
    hypothesis: str | None

    @property
    def kind(self) -> EditKind:
        if self.reference == self.hypothesis:
            return "hit"
        if self.hypothesis is None:
            return "deletion"
        return "insertion" if self.reference is None else "substitution"


class _Column(NamedTuple):
    """A column of the table: bit i is set where d[i+1] - d[i] is 1 (`rises`) or -1 (`falls`)."""

    rises: int
    falls: int
    last: int  # d[len(reference)]


def edit_distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """Return the least substitutions, insertions and deletions that make one sequence of the other.

    Divided by the length of the reference, over words or characters of a whole test set, it is WER or CER.
    """
    end = deque(_columns(reference, hypothesis), maxlen=1)
    return end[0].last if end else len(reference)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedPair]:
    """Return an alignment with the least edits.

    Of several such alignments it is the one of RapidFuzz, and so of jiwer: equal units at both ends are aligned first;
    of the rest, read from its end, a deletion is preferred to a substitution or hit, and these to an insertion.
    (RapidFuzz divides tables of more than a million bytes, and may then choose another.)
    """
    start = _shared(reference, hypothesis)
    end = _shared(reference[start:][::-1], hypothesis[start:][::-1])
    i, j = len(reference) - end, len(hypothesis) - end
    columns = list(_columns(reference[start:i], hypothesis[start:j]))
    steps = [AlignedPair(unit, unit) for unit in reference[i:]][::-1]  # from the end
    while i > start and j > start:
        row = i - start - 1
        if columns[j - start - 1].rises >> row & 1:
            i -= 1
            steps.append(AlignedPair(reference[i], None))
            continue
        j -= 1
        if j > start and columns[j - start - 1].falls >> row & 1:
            steps.append(AlignedPair(None, hypothesis[j]))
        else:
            i -= 1
            steps.append(AlignedPair(reference[i], hypothesis[j]))
    steps += [AlignedPair(unit, None) for unit in reference[start:i][::-1]]
    steps += [AlignedPair(None, unit) for unit in hypothesis[start:j][::-1]]
    return [*(AlignedPair(unit, unit) for unit in reference[:start]), *reversed(steps)]


def weighted_edit_distance(costs: npt.NDArray[np.floating]) -> float:
    """Return the least cost of the edits between two sequences.

    Args:
        costs: of a substitution of each unit of the reference by each of the hypothesis (reference, hypothesis); an
            insertion or deletion costs 1.

    The last term of a row of the table, the insertions, is a running minimum of d[i, j] - j.
    """
    steps = np.arange(costs.shape[1] + 1, dtype=np.float64)
    row = steps
    for of_unit in costs:
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + of_unit)
        row = np.minimum.accumulate(best - steps) + steps
    return float(row[-1])


def _columns(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Iterator[_Column]:
    """Yield the column of each unit of the hypothesis."""
    rows_of: dict[Hashable, int] = {}
    for row, unit in enumerate(reference):
        rows_of[unit] = rows_of.get(unit, 0) | 1 << row
    every, final = (1 << len(reference)) - 1, max(len(reference) - 1, 0)
    rises, falls, last = every, 0, len(reference)
    for unit in hypothesis:
        equal = rows_of.get(unit, 0)
        diagonal = (((equal & rises) + rises) ^ rises | equal | falls) & every  # d[i, j] == d[i-1, j-1]
        right = falls | every & ~(diagonal | rises)  # d[i, j] == d[i, j-1] + 1
        left = diagonal & rises  # d[i, j] == d[i, j-1] - 1
        last += (right >> final & 1) - (left >> final & 1) if reference else 1
        right, left = right << 1 | 1, left << 1
        rises = (left | ~(diagonal | right)) & every
        falls = diagonal & right
        yield _Column(rises, falls, last)


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    """Count the equal units at the beginnings."""
    pairs = zip(left, right, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
