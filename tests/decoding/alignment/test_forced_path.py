"""The best path through a text: against all paths; with little memory and a narrow beam, the same path."""

from itertools import pairwise

import numpy as np
import pytest

from sonant.decoding.alignment import forced_path as module
from sonant.decoding.alignment.forced_path import ForcedPath, forced_path, frames_needed
from sonant.errors import UnalignableText

STAR_LOSS = 0.5


def emission(rng: np.random.Generator, frames: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return losses (frames, kinds), the last a star, and the greatest log-probabilities."""
    logits = np.log(rng.dirichlet(np.full(kinds - 1, 0.3), frames) + 1e-12).astype(np.float32)
    greatest = logits.max(1)
    return np.pad(logits - greatest[:, None], ((0, 0), (0, 1)), constant_values=-STAR_LOSS), greatest


def best_of_all(losses: np.ndarray, units: np.ndarray) -> float:
    """Return the greatest sum of any path: blank is column 0."""
    labels = np.zeros(2 * len(units) + 1, int)
    labels[1::2] = units
    paths = {0: float(losses[0, 0]), 1: float(losses[0, units[0]])}
    every = [((state,), total) for state, total in paths.items()]
    for row in losses[1:]:
        every = [
            ((*states, after), total + float(row[labels[after]]))
            for states, total in every
            for after in range(states[-1], min(states[-1] + 3, len(labels)))
            if after - states[-1] < 2 or (after % 2 and labels[after] != labels[states[-1]])
        ]
    return max((total for states, total in every if states[-1] >= len(labels) - 2), default=-np.inf)


def steps(path: ForcedPath) -> list[tuple[int, int]]:
    return list(zip(path.first_frames.tolist(), path.last_frames.tolist(), strict=True))


def test_no_path_is_better() -> None:
    rng, tried = np.random.default_rng(0), 0
    while tried < 60:
        frames, units = int(rng.integers(1, 8)), rng.integers(1, 5, int(rng.integers(1, 4)))
        if frames_needed(units) > frames:
            continue
        losses, greatest = emission(rng, frames, 5)
        for cells in (0, 10**6):
            path = forced_path(losses, greatest, units, blank=0, table_cells=cells)
            assert path.loss == pytest.approx(best_of_all(losses, units), abs=1e-4)
            assert all(before[1] < after[0] for before, after in pairwise(steps(path)))
            equal = units[1:] == units[:-1]
            gaps = path.first_frames[1:] - path.last_frames[:-1]
            assert (gaps[equal] > 1).all()  # a blank between equal units
        tried += 1


@pytest.mark.parametrize("beam", [2.0, 200.0])
def test_little_memory_and_a_narrow_beam_find_the_same_path(beam: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random emissions lead a narrow beam astray: a second pass must find what it lost."""
    rng = np.random.default_rng(1)
    monkeypatch.setattr(module, "BEAM", beam)
    for _ in range(6):
        frames = int(rng.integers(100, 300))
        units = rng.integers(1, 13, int(rng.integers(10, frames // 3)))
        losses, greatest = emission(rng, frames, 13)
        whole = forced_path(losses, greatest, units, blank=0)
        bounded = forced_path(losses, greatest, units, blank=0, table_cells=0)
        assert bounded.loss == pytest.approx(whole.loss, rel=1e-9)
        assert steps(bounded) == steps(whole)


def test_scores_are_mean_log_probabilities() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], np.float32))
    greatest = logits.max(1)
    path = forced_path(logits - greatest[:, None], greatest, np.array([1]), blank=0)
    assert steps(path) == [(1, 2)]
    assert path.log_probabilities[0] == pytest.approx(np.log([0.8, 0.6]).mean(), abs=1e-6)
    assert path.loss == pytest.approx(0.0, abs=1e-6)


def test_a_text_longer_than_the_frames_is_refused() -> None:
    losses, greatest = emission(np.random.default_rng(2), 4, 4)
    forced_path(losses, greatest, np.array([1, 2, 2]), blank=0)
    with pytest.raises(UnalignableText, match="needs 5 frames"):
        forced_path(losses, greatest, np.array([1, 2, 2, 3]), blank=0)


def test_an_impossible_unit_is_refused() -> None:
    losses, greatest = emission(np.random.default_rng(3), 40, 4)
    losses[:, 2] = -np.inf
    for cells in (0, 10**6):
        with pytest.raises(UnalignableText, match="No path"):
            forced_path(losses, greatest, np.array([1, 2]), blank=0, table_cells=cells)
