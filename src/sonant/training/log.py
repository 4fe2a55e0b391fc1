"""Reports of a run: a progress bar, `metrics.jsonl`, and TensorBoard where it is installed."""

import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from tqdm import tqdm

from sonant.loss import Loss


class TrainingWarning(UserWarning):
    """A warning that a run goes on although its metrics say that it learns nothing of use."""


@runtime_checkable
class Watched(Protocol):
    """An objective that can detect its own failures."""

    def warning(self, metrics: dict[str, float]) -> str | None:
        """Return what is wrong, by the metrics averaged since the last report, and what to do; None if nothing is."""


class TrainingLog:
    """A context manager that averages metrics between reports.

    An objective that is `Watched` is given every report; its warnings are shown once and written into each report.
    A resumed run drops the lines of `metrics.jsonl` that are later than the state it takes up.
    """

    def __init__(self, folder: Path, first: int, steps: int, *, sampling_rate: int, objective: object) -> None:
        self.path = folder / "metrics.jsonl"
        if self.path.exists():
            lines = [line for line in self.path.read_text().splitlines() if json.loads(line)["step"] <= first]
            self.path.write_text("".join(line + "\n" for line in lines))
        self._bar = tqdm(total=steps, initial=first, desc=folder.name, unit="step", disable=None, dynamic_ncols=True)
        self._board = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(folder), purge_step=first)
        self._sampling_rate = sampling_rate
        self._watched = objective if isinstance(objective, Watched) else None
        self._warned = False
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, list[float]] = {}
        self._samples, self._began = 0, time.monotonic()

    def count(self, loss: Loss, num_samples: int) -> None:
        """Take in one batch."""
        self._samples += num_samples
        for name, (total, count) in {**loss.metrics, "loss": (loss.sum.item(), loss.count)}.items():
            sums = self._sums.setdefault(name, [0.0, 0.0])
            sums[0] += total
            sums[1] += count

    def step(self, step: int, *, lr: float, gradient_norm: float, due: bool) -> None:
        """Advance the bar and, where a report is due, write it."""
        self._bar.update()
        if not due:
            return
        metrics = {name: total / count if count else 0.0 for name, (total, count) in self._sums.items()}
        seconds = time.monotonic() - self._began
        report = {
            **metrics,
            "lr": lr,
            "gradient_norm": gradient_norm,
            "audio_seconds_per_second": self._samples / self._sampling_rate / seconds,
        }
        line: dict[str, float | str] = {"step": step, **{name: float(f"{value:.5g}") for name, value in report.items()}}
        if self._watched is not None and (wrong := self._watched.warning(metrics)):
            line["warning"] = wrong
            if not self._warned:
                warnings.warn(f"Step {step}: {wrong}", TrainingWarning, stacklevel=3)
                self._warned = True
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in report.items():
                self._board.add_scalar(name, value, step)
        shown = [name for name in sorted(metrics) if "accuracy" in name or name == "loss"]
        self._bar.set_postfix({name: f"{metrics[name]:.3f}" for name in shown})
        self._reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()
