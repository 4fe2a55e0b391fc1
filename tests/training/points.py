"""A small regression to train: batches of unlike size by their number, and a network with dropout."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sonant.loss import Loss, Objective
from sonant.training import Training, train

SHORT = Training(steps=12, lr=1e-2, log_every=3, save_every=4)


@dataclass(frozen=True)
class Points:
    x: Tensor
    y: Tensor

    @property
    def num_samples(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> "Points":
        return Points(self.x.to(device), self.y.to(device))


class Regression(Objective):
    """Least squares through a layer with dropout, so that random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.3), nn.GELU(), nn.Linear(16, 1))

    def forward(self, batch: Points) -> Loss:
        error = (self.net(batch.x)[:, 0] - batch.y).square().sum()
        return Loss(error, len(batch.x), {"error": (error, len(batch.x))})


class Batches:
    """Points of unlike number, by the number of the batch; changed in some way."""

    def __init__(self, change: Callable[[int, Points], Points] = lambda _, batch: batch) -> None:
        self.change = change

    def __getitem__(self, number: int) -> Points:
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(2 + number % 3, 3, generator=generator)
        return self.change(number, Points(x, x.sum(1)))


points = Batches()


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def trained(folder: Path, *stops: int, training: Training = SHORT, workers: int = 0) -> list[Tensor]:
    for stop in (*stops, None):
        objective = Regression()
        torch.manual_seed(1 if not (folder / "state.pt").exists() else 99)
        train(objective, points, training, folder, stop_at=stop, workers=workers)
    return weights(objective)


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
