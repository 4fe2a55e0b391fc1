"""Numbers of whole recordings: age, arousal, mean opinion score."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from sonant.checkpoints import Checkpoint
from sonant.errors import ManifestError
from sonant.evaluation.regression import score_numbers
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import LayerMix
from sonant.tasks.regression import RegressionHead
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Task, settings_of
from sonant.training.tasks.utterance import UtteranceTask
from sonant.training.validation import Criterion


@dataclass(frozen=True, kw_only=True)
class RegressionTask(UtteranceTask):
    """A number of a recording, or one for each of several fields, by the head of `UtteranceTask`.

    Numbers are standardized by those of the training set while the head learns; the saved head gives the numbers. The
    metric is the mean absolute error, at the end with Pearson's correlation and the concordance correlation
    coefficient (CCC).

    Attributes:
        measure: "mse", the mean squared error of standardized numbers, or "ccc", one minus the concordance correlation
            coefficient in the batch, as for emotions.
        names: of the outputs; with label=[A,B] those of the fields.
    """

    criterion: ClassVar[Criterion] = Criterion("loss")

    measure: Literal["mse", "ccc"] = "mse"
    names: tuple[str, ...] = ("value",)

    def with_columns(self, columns: tuple[str, ...]) -> Task:
        return replace(self, names=columns)

    def normalized(self, value: Any) -> str:
        given: list[Any] = [value.get(name) for name in self.names] if isinstance(value, Mapping) else [value]
        if all(each is None or each == "" for each in given):
            return ""
        try:
            numbers = [float(each) for each in given if not isinstance(each, bool)]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != len(self.names) or not all(map(isfinite, numbers)):
            wanted = "a number" if len(self.names) == 1 else f"a number for each of {', '.join(self.names)}"
            raise ManifestError(f"{value!r:.80} was given; expected {wanted}")
        return json.dumps(numbers)

    def fitted(
        self,
        labels: Sequence[str],
        *,
        checkpoint: Checkpoint,  # noqa: ARG002
        model: str,  # noqa: ARG002
        folder: Path,  # noqa: ARG002
        resumed: bool,  # noqa: ARG002
    ) -> "RegressionTask":
        if not labels:
            return self
        numbers = np.array([json.loads(label) for label in labels])  # (recordings, outputs)
        std = numbers.std(0)
        if not (std > 0).all():
            raise ManifestError(
                f"All {len(labels)} recordings have the same number, {numbers[0].tolist()}. Is it the right field? "
                "Name another one: label=FIELD."
            )
        mean = tuple(numbers.mean(0).tolist())
        return _FittedRegressionTask(**settings_of(self), mean=mean, std=tuple(std.tolist()))

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return self.names

    def outside(self, label: str, known: frozenset[str]) -> list[str]:  # noqa: ARG002
        return []

    def target(self, label: str, numbers: Mapping[str, int]) -> Tensor:  # noqa: ARG002
        return torch.tensor([json.loads(label)], dtype=torch.float32)  # (1, outputs)

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        predictions = list(predictions)
        found = torch.stack([each.output for each in predictions]).numpy()  # (recordings, outputs)
        wanted = torch.cat([each.target for each in predictions]).numpy()
        groups = groups_of([each.speaker for each in predictions])
        measures: dict[str, Any] = {"recordings": len(predictions)}
        for number, name in enumerate(classes):
            scores = score_numbers(found[:, number], wanted[:, number], groups)
            ending = "" if len(classes) == 1 else f"_{name}"
            measures |= {f"{measure}{ending}": each for measure, each in scores.items()}
        return TaskResult(measures)

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes), "problem_type": "regression"}


@dataclass(frozen=True, kw_only=True)
class _FittedRegressionTask(RegressionTask):
    """Numbers with mean and standard deviation of those of the training set."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> RegressionHead:
        head = super().head(dim, classes, mix)
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return RegressionHead(head.projector, head.classifier, mix, head.attention, mean=mean, std=std)

    def loss(self, outputs: Tensor, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        found, wanted = outputs.float(), targets.values  # (batch, outputs) both
        mean, std = wanted.new_tensor(self.mean), wanted.new_tensor(self.std)
        if self.measure == "mse":
            total = ((found - wanted) / std).square().sum()
        else:
            total = (1 - concordance((found - mean) / std, (wanted - mean) / std)).sum() * len(found)
        error = (found - wanted).detach().abs().sum()
        return Loss(total, found.numel(), {"mae": (error, found.numel())})


def concordance(found: Tensor, wanted: Tensor) -> Tensor:
    """Compute the concordance correlation coefficient of each column of (batch, outputs): (outputs,)."""
    x, y = found - found.mean(0), wanted - wanted.mean(0)
    apart = (found.mean(0) - wanted.mean(0)).square()
    return 2 * (x * y).mean(0) / (x.square().mean(0) + y.square().mean(0) + apart).clamp(min=1e-8)
