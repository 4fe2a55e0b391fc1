"""Metrics of a training: progress, `metrics.jsonl`, and trackers."""

import json
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from sonant.data.files import naming
from sonant.data.progress import Progress
from sonant.errors import SonantWarning, warn
from sonant.loss import Loss, Objective
from sonant.training.curves import CurvesPicture
from sonant.training.prefetch import Batch
from sonant.training.ranks import gathered, on_first, rank
from sonant.training.throughput import Throughput
from sonant.training.trackers import Tracker, TrackerName, open_tracker


class TrainingWarning(UserWarning):
    """Warning about metrics that show that a run learns nothing useful; training continues."""


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """Reports of a training beside `metrics.jsonl`, and what they need to know of it.

    Attributes:
        title: of the progress, and of the run in trackers.
        trackers: where metrics are shown.
        settings: shown in trackers, as nested JSON values.
        flops: operations of a batch forward and backward, for the share of the device's limit.
        probe: measure the model, on rank 0 alone.
        probe_every: steps from one measurement to the next.
        picture: curves that are drawn as metrics are written.
    """

    title: str = "training"
    trackers: tuple[TrackerName, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    flops: Callable[[Any], float] | None = None
    probe: Callable[[], Mapping[str, float]] | None = None
    probe_every: int = 1000
    picture: CurvesPicture | None = None


class LossSums:
    """Sums of losses, metrics and class counts, kept on the device."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._class_counts: dict[str, Tensor] = {}
        self._vectors: list[Tensor] = []

    def add(self, loss: Loss) -> None:
        """Add the loss of one batch."""
        metrics = {**loss.metrics, "loss": (loss.sum.detach(), loss.count)}
        values = torch.stack([value.double() for pair in metrics.values() for value in pair])
        names = tuple(metrics)
        self._sums[names] = self._sums[names] + values if names in self._sums else values
        for name, counts in loss.class_counts.items():
            before = self._class_counts.get(name)
            self._class_counts[name] = counts.double() if before is None else before + counts
        if loss.vectors is not None:
            self._vectors.append(loss.vectors)

    def vectors(self) -> Tensor | None:
        """Return the vectors of all losses, of all processes, on the CPU; None if there are none."""
        found = [each for theirs in gathered([each.cpu() for each in self._vectors]) for each in theirs]
        return torch.cat(found) if found else None

    def averages(self) -> dict[str, float]:
        """Return sum / count of every metric over all processes (0 for a count of 0), and class counts as in `Loss`.

        Synchronizes with the device.
        """
        totals: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        classes: dict[str, Tensor] = {}
        pairs = [(names, values.view(-1, 2).tolist()) for names, values in self._sums.items()]
        counts = {name: counts.cpu() for name, counts in self._class_counts.items()}
        for others_pairs, others_counts in gathered((pairs, counts)):
            for names, values in others_pairs:
                for name, (total, count) in zip(names, values, strict=True):
                    totals[name] = [totals[name][0] + total, totals[name][1] + count]
            for name, theirs in others_counts.items():
                classes[name] = classes[name] + theirs if name in classes else theirs
        averages = {name: total / count if count else 0.0 for name, (total, count) in totals.items()}
        return averages | {
            name: _macro_f1(counts) if counts.ndim == 2 else _perplexity(counts) for name, counts in classes.items()
        }


def _perplexity(counts: Tensor) -> float:
    """Number of classes in use: exp of the entropy of their shares; 0 without any."""
    shares = counts[counts > 0] / counts.sum()
    return math.exp(float(-(shares * shares.log()).sum())) if len(shares) else 0.0


def _macro_f1(counts: Tensor) -> float:
    """Mean of the F1 scores of classes that occur or were predicted, from (3, classes) of `count_predictions`."""
    correct, predicted, actual = counts
    either = predicted + actual
    return float((2 * correct / either)[either > 0].mean()) if either.any() else 0.0


class TrainingLog:
    """Context manager that averages metrics between reports; rank 0 writes them.

    The first warning of the objective is shown, and each is written into its report. A resumed run removes the lines of
    `metrics.jsonl` after its saved state.
    """

    def __init__(
        self,
        folder: Path,
        first: int,
        steps: int,
        *,
        objective: Objective,
        throughput: Throughput,
        monitoring: Monitoring,
    ) -> None:
        self.path, self._writes = folder / "metrics.jsonl", rank() == 0
        self._first, self._monitoring = first, monitoring
        if self.path.exists() and self._writes:
            lines = [line for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.path.write_text("".join(line for line in lines if json.loads(line)["step"] <= first))
        self._progress = Progress(
            steps, title=monitoring.title, unit="steps", done=first, show=None if self._writes else False
        )
        self._objective, self._warned = objective, False
        self.throughput, self._sums = throughput, LossSums()
        self._trackers: list[Tracker] = []

    def count(self, loss: Loss, batch: Batch) -> None:
        """Add one batch, without synchronizing with the device."""
        self.throughput.count(batch)
        self._sums.add(loss)

    def step(self, step: int, *, lr: float, gradient_norm: Tensor, due: bool) -> None:
        """Advance the progress, and write a report if one is due."""
        if due:
            self._report(step, lr, float(gradient_norm))
        self._progress.update()

    def _report(self, step: int, lr: float, gradient_norm: float) -> None:
        metrics = self._sums.averages()
        metrics |= self._objective.derived(metrics)
        speed = self.throughput.report()
        report: dict[str, float | str] = {**metrics, "lr": lr, "gradient_norm": gradient_norm, **speed}
        if wrong := self._objective.warning(metrics):
            report["warning"] = wrong
            if not self._warned and self._writes:
                warnings.warn(f"Step {step}: {wrong}", TrainingWarning, stacklevel=4)
                self._warned = True
        self.write(step, report)
        shown = [name for name in sorted(metrics) if "accuracy" in name or name == "loss"]
        values = [f"{name.replace('_', ' ')} {metrics[name]:.3f}" for name in shown]
        self._progress.note = ", ".join([*values, self.throughput.described(speed)])
        self._sums = LossSums()

    def write(self, step: int, report: Mapping[str, float | str]) -> None:
        """Write a line of strings and of numbers, rounded to five significant digits; ranks above 0 wait for it."""
        on_first(lambda: self._write(step, report))

    def _write(self, step: int, report: Mapping[str, float | str]) -> None:
        numbers = {name: value for name, value in report.items() if not isinstance(value, str)}
        rounded = {name: float(f"{value:.5g}") for name, value in numbers.items()}
        with naming(self.path), self.path.open("a") as file:
            file.write(json.dumps({"step": step, **report, **rounded}) + "\n")
        for tracker in self._trackers.copy():
            try:
                tracker.log(step, numbers)
            except Exception as error:  # noqa: BLE001 - of a server that is gone, for which no training should end
                self._trackers.remove(tracker)
                warn(
                    f"Step {step}: {type(tracker).__name__} failed ({error!r}), and gets no further metrics; "
                    f"{self.path} has all of them. It is tried again when the training is resumed.",
                    SonantWarning,
                )
        if (picture := self._monitoring.picture) is not None:
            picture.update()

    def __enter__(self) -> Self:
        on_first(self._open_trackers)
        self.throughput.restart()
        return self

    def _open_trackers(self) -> None:
        monitoring, folder = self._monitoring, self.path.parent
        self._trackers = [
            open_tracker(name, folder, self._first, title=monitoring.title, settings=monitoring.settings)
            for name in monitoring.trackers
        ]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.close()
        for tracker in self._trackers:
            tracker.close(failed=kind is not None)
