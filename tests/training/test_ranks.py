"""Processes that train together do what one does with all of their batches."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from sonant.training import train
from tests.training.points import SHORT, Points, Regression, points, weights

TRAINING = replace(SHORT, steps=6, grad_accumulation=2)


class Hooked(Regression):
    """Without dropout, whose random numbers differ by process."""

    def __init__(self) -> None:
        super().__init__()
        self.net[1].p = 0.0
        self.calls = 0
        self.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.calls += 1


class OfRank:
    """The batches of one of several processes."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def __getitem__(self, number: int) -> Points:
        return points[number * self.world + self.rank]


def _train(rank: int, world: int, folder: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=world)
    for stop in (3, None):
        objective = Hooked()
        train(objective, OfRank(rank, world), TRAINING, folder / "together", stop_at=stop)
    torch.save(weights(objective), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_hooks_of_the_objective_run(tmp_path: Path) -> None:
    """Those of DistributedDataParallel and FSDP synchronize gradients."""
    objective = Hooked()
    train(objective, points, TRAINING, tmp_path)
    assert objective.calls == 12


@pytest.mark.slow
def test_two_processes_equal_one_with_their_batches(tmp_path: Path) -> None:
    """Although batches differ in size, and through an interruption; rank 0 writes the reports."""
    multiprocessing.spawn(_train, (2, tmp_path), nprocs=2)
    alone = Hooked()
    train(alone, points, replace(TRAINING, grad_accumulation=4), tmp_path / "alone")
    for rank in range(2):
        for given, expected in zip(torch.load(tmp_path / f"{rank}.pt"), weights(alone), strict=True):
            torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-6)
    reports = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("together", "alone")]
    assert [len(lines) for lines in reports] == [2, 2]
