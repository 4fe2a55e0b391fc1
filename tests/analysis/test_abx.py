"""ABX on cases worked out by hand, and warping against all paths."""

from itertools import pairwise

import numpy as np
import pytest

from sonant.analysis.abx import AbxItem, abx_cells, abx_error, cell_errors
from sonant.analysis.warping import warped_distances


def at(*degrees):
    """Frames at angles in the plane."""
    return np.array([[np.cos(np.radians(each)), np.sin(np.radians(each))] for each in degrees], dtype=np.float32)


def item(category, speaker="s", context=""):
    return AbxItem(category=category, speaker=speaker, context=context)


def error(items, segments, mode):
    cells = abx_cells(items, mode)
    return abx_error(cells, cell_errors(cells, segments))


def all_paths(rows, columns):
    if rows == columns == 0:
        return [[(0, 0)]]
    before = [(rows - 1, columns - 1), (rows - 1, columns), (rows, columns - 1)]
    return [[*path, (rows, columns)] for i, j in before if i >= 0 and j >= 0 for path in all_paths(i, j)]


def test_warping_takes_the_cheapest_path():
    random = np.random.default_rng(0)
    segments = [random.normal(size=(frames, 3)).astype(np.float32) for frames in (1, 2, 3, 5, 4)]
    pairs = np.array([(i, j) for i in range(5) for j in range(5)])
    for (i, j), found in zip(pairs, warped_distances(segments, pairs), strict=True):
        units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (segments[i], segments[j])]
        angles = np.arccos((units[0] @ units[1].T).clip(-1, 1)) / np.pi
        paths = all_paths(len(segments[i]) - 1, len(segments[j]) - 1)
        cost, path = min(((sum(angles[place] for place in path), path) for path in paths), key=lambda pair: pair[0])
        assert all(0 <= b[0] - a[0] <= 1 for a, b in pairwise(path))
        assert found == pytest.approx(cost / len(path), abs=1e-5)


def test_the_distance_is_the_angle_over_pi():
    assert warped_distances([at(0), at(90), at(0, 0, 0)], np.array([(0, 1), (0, 2)])) == pytest.approx(
        [0.5, 0.0], abs=1e-3
    )


def test_within_speakers_by_hand():
    # a at 0 and 10 degrees, b at 12 and 30: X = 0: A = 10 is nearer than 12 and 30; X = 10: A = 0 is farther than 12,
    # nearer than 30; X = 12: A = 30 is farther than 10 and 0; X = 30: A = 12 is nearer than 10 and 0.
    items, segments = [item("a"), item("a"), item("b"), item("b")], [at(0), at(10), at(12), at(30)]
    assert error(items, segments, "within") == pytest.approx(((0 + 1) / 4 + 2 / 4) / 2)


def test_ties_count_half():
    items, segments = [item("a"), item("a"), item("b")], [at(20), at(20), at(20)]
    assert error(items, segments, "within") == 0.5


def test_across_speakers_x_is_of_another():
    # s: a at 0, b at 90; t: a at 80, b at 95. X = t's a (80) is nearer to s's b (90) than to s's a: an error.
    # X = t's b (95), X = s's a (0) and X = s's b (90) are nearer to their own category.
    items = [item("a", "s"), item("b", "s"), item("a", "t"), item("b", "t")]
    cells = abx_cells(items, "across")
    assert {(cell.categories, cell.speakers) for cell in cells} == {
        (("a", "b"), ("s", "t")), (("b", "a"), ("s", "t")), (("a", "b"), ("t", "s")), (("b", "a"), ("t", "s")),
    }  # fmt: skip
    assert error(items, [at(0), at(90), at(80), at(95)], "across") == pytest.approx((1 + 0 + 0 + 0) / 4)
    assert abx_cells(items, "within") == []


def test_contexts_are_not_mixed_and_count_alike():
    items = [item("a", context="x"), item("a", context="x"), item("b", context="y")]
    assert abx_cells(items, "within") == []


def test_the_number_of_tokens_and_cells_is_bounded():
    items = [item(category) for category in "abcdef" for _ in range(20)]
    cells = abx_cells(items, "within", most_tokens=3, most_cells=7)
    assert len(cells) == 7
    assert all(len(cell.a) == len(cell.b) == 3 for cell in cells)
    assert abx_cells(items, "within", most_tokens=3, most_cells=7)[0].a == cells[0].a
