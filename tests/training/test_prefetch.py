"""Batches made ahead, on a thread or by processes."""

import threading
from pathlib import Path

import pytest
import torch

from sonant.training.prefetch import Prefetcher
from tests.training.points import Batches, Points, points, same, trained

CPU = torch.device("cpu")


@pytest.mark.parametrize("workers", [0, 2])
def test_each_batch_once_and_in_order(workers: int) -> None:
    with Prefetcher(points, range(3, 9), CPU, workers=workers) as feed:
        given = [batch.x for batch in feed]
    assert same(given, [points[number].x for number in range(3, 9)])


def test_the_next_batch_is_made_while_one_is_used() -> None:
    made = [threading.Event() for _ in range(3)]

    def note(number: int, batch: Points) -> Points:
        made[number].set()
        return batch

    with Prefetcher(Batches(note), range(3), CPU) as feed:
        next(feed)
        assert made[1].wait(10)
        assert not made[2].is_set()


def test_workers_change_nothing(tmp_path: Path) -> None:
    """Their start draws no random number of the training's."""
    assert same(trained(tmp_path / "thread", 5), trained(tmp_path / "processes", 7, workers=2))
