"""Edit distance between sequences: the numerator of word and character error rates."""

from collections.abc import Hashable, Sequence

import numpy as np


def edit_distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """Return the least substitutions, insertions and deletions that make one sequence of the other.

    Divided by the length of the reference, over words or characters of a whole test set, it is WER or CER.

    Source: Levenshtein 1966. A row of the table is

        d[i, j] = min(d[i-1, j] + 1, d[i-1, j-1] + (r[i] != h[j]), d[i, j-1] + 1),

    and its last term, the insertions, is a running minimum of d[i, j] - j.
    """
    numbers: dict[Hashable, int] = {}
    found = np.array([numbers.setdefault(unit, len(numbers)) for unit in hypothesis], dtype=np.int64)
    steps = np.arange(len(found) + 1)
    row = steps
    for unit in reference:
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (found != numbers.get(unit, -1)))
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])
