"""Assignment between the members of two lists: the pairs whose gains add up to the most."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def best_assignment(gains: ArrayLike) -> NDArray[np.int64]:
    """Return for each row of (rows, columns) the column that it is paired with, or -1; no column is taken twice.

    As many pairs are made as the shorter side has members, and no other choice of pairs has a larger sum. Rows are
    added one after another, each by the shortest augmenting path, in O(rows^2 columns).

    Source: Jonker & Volgenant, Computing 38 (1987), without its quick start.
    """
    table = np.asarray(gains, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"gains of shape {table.shape} were given; expected (rows, columns)")
    if table.shape[0] > table.shape[1]:
        row_of = best_assignment(table.T)
        columns = np.full(table.shape[0], -1, dtype=np.int64)
        columns[row_of] = np.arange(table.shape[1])
        return columns
    costs = -table
    rows, columns_count = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns_count)
    owner = np.full(columns_count, -1)  # the row that has each column
    for newcomer in range(rows):
        distance = np.full(columns_count, np.inf)
        origin = np.full(columns_count, -1)  # the column before on the shortest way; -1: from the newcomer itself
        done = np.zeros(columns_count, dtype=bool)
        row, last, walked = newcomer, -1, 0.0
        while True:
            through = walked + costs[row] - row_price[row] - column_price
            nearer = ~done & (through < distance)
            distance[nearer], origin[nearer] = through[nearer], last
            last = int(np.argmin(np.where(done, np.inf, distance)))
            walked, done[last] = float(distance[last]), True
            if owner[last] < 0:
                break
            row = int(owner[last])
        for column in np.flatnonzero(done):
            column_price[column] += distance[column] - walked
            if owner[column] >= 0:
                row_price[owner[column]] += walked - distance[column]
        row_price[newcomer] += walked
        while last >= 0:
            before = int(origin[last])
            owner[last] = newcomer if before < 0 else owner[before]
            last = before
    result = np.full(rows, -1, dtype=np.int64)
    taken = np.flatnonzero(owner >= 0)
    result[owner[taken]] = taken
    return result
