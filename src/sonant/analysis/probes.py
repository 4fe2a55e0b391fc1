"""Linear probes and cosine scores of features.

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

from sonant.errors import ConfigurationError, MeasurementError

Array = npt.NDArray[np.floating]
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
class Standardizer:
    """Standardization of each dimension by training features; constant dimensions become zero."""

    mean: Array  # (dim,)
    scale: Array  # (dim,), factor of centered features

    @classmethod
    def fit(cls, features: Array, *, scale: bool = True) -> "Standardizer":
        """Fit to `features` (clips, dim); `scale=False` only centers."""
        mean = features.mean(axis=0, dtype=np.float64)
        if not scale:
            return cls(mean=mean, scale=np.ones_like(mean))
        deviation = features.std(axis=0, dtype=np.float64)
        varies = deviation > 1e-6 * (np.abs(mean) + 1e-12)  # below that, rounding
        return cls(mean=mean, scale=np.where(varies, 1 / np.where(varies, deviation, 1), 0))

    def __call__(self, features: Array) -> Array:
        return ((features - self.mean) * self.scale).astype(np.float32)


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


def bootstrap_interval(
    values: npt.ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute a bootstrap percentile interval of the mean of `values` (clips,), resampling clips or groups.

    Values are hits (0 or 1), or differences of the hits of two systems on the same clips.
    """
    per_clip = np.asarray(values, dtype=np.float64)
    names = np.arange(len(per_clip)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    group_sums = np.bincount(names, weights=per_clip)  # (groups,)
    group_sizes = np.bincount(names)
    draws = np.random.default_rng(seed).integers(len(group_sizes), size=(resamples, len(group_sizes)))
    means = group_sums[draws].sum(axis=1) / group_sizes[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def cosine_scores(features: Array, pairs: npt.ArrayLike, *, standardizer: Standardizer | None = None) -> Array:
    """Compute the cosine of each pair of clips (trials,), from features (clips, dim) and clip numbers (trials, 2).

    `standardizer`, fitted on other speakers, is applied first; otherwise the common mean of all clips moves cosines
    towards 1. Raises MeasurementError for a clip whose vector is zero.
    """
    rows = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if rows.size and (rows.min() < 0 or rows.max() >= len(features)):
        raise MeasurementError(f"Pairs name clips {rows.min()} to {rows.max()}, but there are {len(features)}.")
    vectors = np.asarray(features if standardizer is None else standardizer(features), dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (norms > 0).all():
        raise MeasurementError(f"Clip {int(np.argmin(norms))} has a zero or NaN vector, which has no direction.")
    unit = vectors / norms
    return np.einsum("td,td->t", unit[rows[:, 0]], unit[rows[:, 1]])


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
