"""Distances of sequences of frames by dynamic time warping, many pairs at once.

With C(i, j) the angle between frame i of one sequence and frame j of the other, over pi, the best path from the first
frames to the last ones costs

    D(i, j) = C(i, j) + min(D(i - 1, j - 1), D(i - 1, j), D(i, j - 1)),

and the distance is D of the last frames over the number of steps of the path, which is counted along with it; of equal
predecessors the diagonal one is taken.

Source: the ABX evaluation of the Zero Resource Speech challenges (Schatz et al., Interspeech 2013).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
MOST_NUMBERS = 1 << 22  # of distances of frames held at once


def warped_distances(sequences: Sequence[Floats], pairs: npt.NDArray[np.integer]) -> Floats:
    """Compute the distances of pairs (pairs, 2) of sequences (frames, dim): (pairs,).

    The angle of a zero vector with any other is 90 degrees.
    """
    units = [_unit(np.asarray(each, dtype=np.float32)) for each in sequences]
    sizes = np.array([len(each) for each in units])
    result = np.zeros(len(pairs), dtype=np.float32)
    order = np.argsort(sizes[pairs].max(axis=1), kind="stable")  # pairs of similar lengths together
    start = 0
    while start < len(order):
        longest = sizes[pairs[order[start : start + 4096]]].max()
        count = max(1, min(4096, MOST_NUMBERS // int(longest) ** 2))
        chosen = order[start : start + count]
        result[chosen] = _chunk(units, pairs[chosen])
        start += count
    return result


def _chunk(units: Sequence[Floats], pairs: npt.NDArray[np.integer]) -> Floats:
    rows = [len(units[one]) for one in pairs[:, 0]]
    columns = [len(units[other]) for other in pairs[:, 1]]
    angles = np.zeros((max(rows), max(columns), len(pairs)), dtype=np.float32)
    for number, (one, other) in enumerate(pairs):
        cosines = (units[one] @ units[other].T).clip(-1, 1)
        angles[: rows[number], : columns[number], number] = np.arccos(cosines) / np.pi
    cost, steps = _paths(angles)
    last = np.array(rows) - 1, np.array(columns) - 1, np.arange(len(pairs))
    return cost[last] / steps[last]


def _paths(angles: Floats) -> tuple[Floats, Floats]:
    """Return cost and steps of the best path to each place (rows, columns, pairs)."""
    cost, steps = np.empty_like(angles), np.empty_like(angles)
    cost[0], steps[0] = np.cumsum(angles[0], axis=0), np.arange(1, angles.shape[1] + 1)[:, None]
    for row in range(1, len(angles)):
        cost[row, 0], steps[row, 0] = cost[row - 1, 0] + angles[row, 0], row + 1
        # From the row before, the diagonal or straight down; then along the row.
        above, diagonal = cost[row - 1, 1:], cost[row - 1, :-1]
        best = np.minimum(diagonal, above)
        taken = np.where(diagonal <= above, steps[row - 1, :-1], steps[row - 1, 1:])
        for column in range(1, angles.shape[1]):
            before, entering = cost[row, column - 1], best[column - 1]
            is_straight = before < entering
            cost[row, column] = angles[row, column] + np.where(is_straight, before, entering)
            steps[row, column] = 1 + np.where(is_straight, steps[row, column - 1], taken[column - 1])
    return cost, steps


def _unit(frames: Floats) -> Floats:
    norms = np.linalg.norm(frames, axis=1, keepdims=True)
    return np.divide(frames, norms, out=np.zeros_like(frames), where=norms > 0)
