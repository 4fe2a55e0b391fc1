"""Metrics of a run: progress bar, `metrics.jsonl`, and TensorBoard if installed."""

import json
import time
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from tqdm import tqdm

from sonant.loss import Loss, Objective
from sonant.training.ranks import gathered, rank


class TrainingWarning(UserWarning):
    """Warning about metrics that show that a run learns nothing useful; training continues."""


class LossSums:
    """Sums of losses and metrics, kept on the device."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, loss: Loss) -> None:
        """Add the loss of one batch."""
        metrics = {**loss.metrics, "loss": (loss.sum.detach(), loss.count)}
        values = torch.stack([value.double() for pair in metrics.values() for value in pair])
        names = tuple(metrics)
        self._sums[names] = self._sums[names] + values if names in self._sums else values

    def averages(self) -> dict[str, float]:
        """Return sum / count of every metric over all processes (0 for a count of 0); synchronizes with the device."""
        totals: dict[str, list[float]] = {}
        own = [(names, values.view(-1, 2).tolist()) for names, values in self._sums.items()]
        for names, pairs in chain.from_iterable(gathered(own)):
            for name, (total, count) in zip(names, pairs, strict=True):
                sums = totals.setdefault(name, [0.0, 0.0])
                sums[0], sums[1] = sums[0] + total, sums[1] + count
        return {name: total / count if count else 0.0 for name, (total, count) in totals.items()}


class TrainingLog:
    """Context manager that averages metrics between reports; rank 0 writes them.

    The first warning of the objective is shown, and each is written into its report. A resumed run removes the lines of
    `metrics.jsonl` after its saved state.
    """

    def __init__(self, folder: Path, first: int, steps: int, *, sampling_rate: int, objective: Objective) -> None:
        self.path, self._writes = folder / "metrics.jsonl", rank() == 0
        if self.path.exists() and self._writes:
            lines = [line for line in self.path.read_text().splitlines() if json.loads(line)["step"] <= first]
            self.path.write_text("".join(line + "\n" for line in lines))
        hidden = None if self._writes else True
        self._bar = tqdm(total=steps, initial=first, desc=folder.name, unit="step", disable=hidden, dynamic_ncols=True)
        self._board = None
        if find_spec("tensorboard") and self._writes:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(folder), purge_step=first)
        self._sampling_rate, self._objective, self._warned = sampling_rate, objective, False
        self._reset()

    def _reset(self) -> None:
        self._sums, self._samples, self._began = LossSums(), 0, time.monotonic()

    def count(self, loss: Loss, num_samples: int) -> None:
        """Add one batch, without synchronizing with the device."""
        self._samples += num_samples
        self._sums.add(loss)

    def step(self, step: int, *, lr: float, gradient_norm: Tensor, due: bool) -> None:
        """Advance the progress bar, and write a report if one is due."""
        self._bar.update()
        if not due:
            return
        metrics = self._sums.averages()
        samples = sum(gathered(self._samples))
        report: dict[str, float | str] = {
            **metrics,
            "lr": lr,
            "gradient_norm": float(gradient_norm),
            "audio_seconds_per_second": samples / self._sampling_rate / (time.monotonic() - self._began),
        }
        if wrong := self._objective.warning(metrics):
            report["warning"] = wrong
            if not self._warned and self._writes:
                warnings.warn(f"Step {step}: {wrong}", TrainingWarning, stacklevel=3)
                self._warned = True
        self.write(step, report)
        shown = [name for name in sorted(metrics) if "accuracy" in name or name == "loss"]
        self._bar.set_postfix({name: f"{metrics[name]:.3f}" for name in shown})
        self._reset()

    def write(self, step: int, report: Mapping[str, float | str]) -> None:
        """Write a line of strings and of numbers, rounded to five significant digits."""
        if not self._writes:
            return
        numbers = {name: value for name, value in report.items() if not isinstance(value, str)}
        rounded = {name: float(f"{value:.5g}") for name, value in numbers.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **report, **rounded}) + "\n")
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()
