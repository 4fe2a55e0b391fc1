"""Linear probes of features.

Features are standardized by mean and standard deviation of the training clips; the probe is a multinomial logistic
regression with an L2 penalty on the weights, whose strength is chosen on development clips. The problem is convex and
starts from zero, so that the result is deterministic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError, MeasurementError, some_of
from sonant.evaluation.bootstrap import bootstrap_interval
from sonant.evaluation.vectors import Array, Standardizer

Integers = npt.NDArray[np.integer]

# From strong to weak: each fit starts from the previous one, which saves most steps. The objective is the mean
# cross-entropy plus l2 / 2 * |W|^2; C of scikit-learn is 1 / (l2 * clips).
L2_STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)


@dataclass(frozen=True)
class Split:
    """The clips of one split. With `groups`, such as the speaker of each clip, intervals resample groups."""

    features: Array  # (clips, dim), or (clips, layers, dim) for `probe_layers`
    labels: Sequence[str]  # (clips,)
    groups: Sequence[str] | None = None  # (clips,)

    def __post_init__(self) -> None:
        counts = {len(self.features), len(self.labels), len(self.labels if self.groups is None else self.groups)}
        if len(counts) > 1 or 0 in counts:
            raise MeasurementError(
                f"A split needs one label (and one group, if any) a clip, and at least one clip: features "
                f"{self.features.shape}, {len(self.labels)} labels, "
                f"{'no' if self.groups is None else len(self.groups)} groups."
            )
        if not np.isfinite(self.features).all():
            raise MeasurementError(
                f"Features of shape {self.features.shape} hold NaN or infinite values; which clip? "
                f"The first is {int(np.argwhere(~np.isfinite(self.features))[0][0])}."
            )

    def layer(self, index: int) -> "Split":
        """Return the same clips with the features of one layer."""
        return replace(self, features=self.features[:, index])


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe, and its results on the development clips."""

    classes: tuple[str, ...]
    standardizer: Standardizer
    weight: Array  # (classes, dim)
    bias: Array  # (classes,)
    l2: float
    dev_accuracy: float
    dev_loss: float  # mean cross-entropy, nats

    def logits(self, features: Array) -> Array:
        """Compute logits (clips, classes) of `features` (clips, dim)."""
        return self.standardizer(features) @ self.weight.T + self.bias

    def predict(self, features: Array) -> list[str]:
        """Return the most probable class of each clip."""
        return [self.classes[index] for index in self.logits(features).argmax(axis=1)]


@dataclass(frozen=True)
class ProbeResult:
    """The accuracy of a probe on test clips."""

    accuracy: float
    low: float  # 95 % bootstrap interval
    high: float
    dev_accuracy: float
    dev_loss: float
    l2: float
    chance: float  # accuracy of the most frequent class of train
    correct: tuple[bool, ...] = field(repr=False)  # of each test clip, for paired comparisons of probes


def fit_probe(train: Split, dev: Split, *, l2_strengths: Sequence[float] = L2_STRENGTHS) -> LinearProbe:
    """Fit on `train` with every strength, and select the best on `dev`: highest accuracy, then lowest cross-entropy.

    Raises MeasurementError if dev has classes that train lacks, or train has only one class.
    """
    if not l2_strengths or min(l2_strengths) <= 0:
        raise ConfigurationError(f"l2_strengths are positive and at least one; {tuple(l2_strengths)} was given.")
    classes = tuple(sorted(set(train.labels)))
    if len(classes) < 2:
        raise MeasurementError(f"A probe needs at least two classes to tell apart; train holds only {list(classes)}.")
    standardizer = Standardizer.fit(train.features)
    inputs = torch.from_numpy(standardizer(train.features))
    targets = torch.from_numpy(_class_indices(train.labels, classes))
    dev_targets = torch.from_numpy(_class_indices(dev.labels, classes))
    best: LinearProbe | None = None
    parameters = torch.zeros(len(classes), inputs.shape[1] + 1)
    for l2 in sorted(l2_strengths, reverse=True):
        parameters = _minimize(parameters, inputs, targets, l2)
        weight, bias = parameters[:, :-1].numpy().copy(), parameters[:, -1].numpy().copy()
        probe = LinearProbe(classes, standardizer, weight, bias, l2=l2, dev_accuracy=0.0, dev_loss=0.0)
        logits = torch.from_numpy(probe.logits(dev.features))
        probe = replace(
            probe,
            dev_accuracy=float((logits.argmax(1) == dev_targets).double().mean()),
            dev_loss=float(F.cross_entropy(logits, dev_targets)),
        )
        if best is None or (probe.dev_accuracy, -probe.dev_loss) > (best.dev_accuracy, -best.dev_loss):
            best = probe
    assert best is not None
    return best


def linear_probe(
    train: Split, dev: Split, test: Split, *, l2_strengths: Sequence[float] = L2_STRENGTHS, resamples: int = 1000
) -> ProbeResult:
    """Fit on train, select on dev, measure on test."""
    probe = fit_probe(train, dev, l2_strengths=l2_strengths)
    truth = _class_indices(test.labels, probe.classes)
    correct = probe.logits(test.features).argmax(axis=1) == truth
    low, high = bootstrap_interval(correct, test.groups, resamples=resamples)
    majority = np.bincount(_class_indices(train.labels, probe.classes)).argmax()
    return ProbeResult(
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        dev_accuracy=probe.dev_accuracy,
        dev_loss=probe.dev_loss,
        l2=probe.l2,
        chance=float((truth == majority).mean()),
        correct=tuple(correct.tolist()),
    )


def probe_layers(
    train: Split, dev: Split, test: Split, *, l2_strengths: Sequence[float] = L2_STRENGTHS, resamples: int = 1000
) -> tuple[ProbeResult, ...]:
    """Compute `linear_probe` for every layer of features (clips, layers, dim)."""
    return tuple(
        linear_probe(
            train.layer(index), dev.layer(index), test.layer(index), l2_strengths=l2_strengths, resamples=resamples
        )
        for index in range(train.features.shape[1])
    )


def chosen_layer(results: Sequence[ProbeResult]) -> int:
    """Return the layer with the highest accuracy on dev, then lowest cross-entropy."""
    return max(range(len(results)), key=lambda index: (results[index].dev_accuracy, -results[index].dev_loss))


def folds_of(labels: Sequence[str], groups: Sequence[str] | None = None, *, folds: int = 4, seed: int = 0) -> Integers:
    """Assign clips to folds at random, so that those of a group, such as a speaker, are in the same one: (clips,).

    Each group goes to the fold that has the fewest clips of its labels so far.

    Raises MeasurementError if there are fewer groups than folds, or a label of a single group, which no probe could
    learn from the others.
    """
    names, member = np.unique(np.arange(len(labels)) if groups is None else np.asarray(groups), return_inverse=True)
    classes, label = np.unique(np.asarray(labels), return_inverse=True)
    held = np.zeros((len(names), len(classes)), dtype=np.int64)  # clips by group and label
    np.add.at(held, (member, label), 1)
    alone = classes[(held > 0).sum(axis=0) == 1].tolist()
    if len(names) < folds or alone:
        what = "clips" if groups is None else "groups (speakers)"
        rare = f", and there is one alone for {some_of(alone, 5)}" if alone and len(classes) > 1 else ""
        raise MeasurementError(
            f"A probe learns from some {what} and is tested on others. {len(names)} were given{rare}; expected {folds} "
            "at least, and two for each label."
        )
    filled, fold_of_group = np.zeros((folds, len(classes)), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(len(names)):
        clash, size = filled @ held[group], filled.sum(axis=1)
        fold_of_group[group] = chosen = np.lexsort((size, clash))[0]
        filled[chosen] += held[group]
    return fold_of_group[member]


def cross_validate(features: Array, labels: Sequence[str], folds: Integers, *, l2: float = 0.03) -> float:
    """Return the share of clips, features (clips, dim), whose label is predicted by a probe of the other folds.

    For curves, where the strength of the penalty is to stay the same; `linear_probe` chooses it.
    """
    names = np.asarray(labels)
    correct = 0
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        classes = tuple(sorted(set(names[train].tolist())))
        standardizer = Standardizer.fit(features[train])
        inputs = torch.from_numpy(standardizer(features[train]))
        targets = torch.from_numpy(_class_indices(names[train].tolist(), classes))
        parameters = _minimize(torch.zeros(len(classes), inputs.shape[1] + 1), inputs, targets, l2)
        logits = F.linear(torch.from_numpy(standardizer(features[test])), parameters[:, :-1], parameters[:, -1])
        correct += int((np.asarray(classes)[logits.argmax(1).numpy()] == names[test]).sum())
    return correct / len(names)


def _class_indices(labels: Sequence[str], classes: tuple[str, ...]) -> Integers:
    index = {name: number for number, name in enumerate(classes)}
    strange = sorted(set(labels) - set(classes))
    if strange:
        raise MeasurementError(
            f"Labels that train lacks: {strange[:5]} ({len(strange)} in all); a probe cannot learn a class unseen."
        )
    return np.array([index[label] for label in labels], dtype=np.int64)


def _minimize(start: Tensor, inputs: Tensor, targets: Tensor, l2: float) -> Tensor:
    """Minimize the penalized mean cross-entropy by L-BFGS; parameters (classes, dim + 1), the last column the bias."""
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=300,
        tolerance_grad=1e-5,  # reached in float32; 1e-4 would change the third digit of the accuracy
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        weight, bias = parameters[:, :-1], parameters[:, -1]
        loss = F.cross_entropy(F.linear(inputs, weight, bias), targets) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss.item()

    with torch.enable_grad():
        optimizer.step(closure)
    return parameters.detach()
