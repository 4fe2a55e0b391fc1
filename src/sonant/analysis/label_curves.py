"""Probes by layer of the labels of recordings and of segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonant.analysis.corpus import AnalyzedCorpus, numbers_in
from sonant.analysis.intervals import as_good_by_resamples
from sonant.analysis.layer_report import Estimate
from sonant.analysis.results import LayerCurve
from sonant.analysis.ridge import Numbered, Regression, ridge
from sonant.analysis.samples import LayerSamples
from sonant.analysis.splits import Parts, parts_for, plain_parts
from sonant.analysis.timed_labels import Tier
from sonant.evaluation.bootstrap import bootstrap_interval
from sonant.evaluation.probes import ProbeResult, Split, chosen_layer, linear_probe

Pooling = Literal["mean", "mean+std"]
Floats = npt.NDArray[np.floating]
Tick = Callable[[], None]

PROBE = "Multinomial logistic regression on standardized features, its penalty and the best layer chosen on dev."


def recording_curve(
    field: str, corpus: AnalyzedCorpus, samples: LayerSamples, *, pool: Pooling, tick: Tick = lambda: None
) -> LayerCurve:
    """Probe a field of the recordings: classes, or numbers if it has many different ones.

    Raises MeasurementError: too few recordings.
    """
    used = samples.recordings
    every = corpus.labels(field)
    labels = [every[number] for number in used]
    speakers, given = [corpus.speakers[number] for number in used], [corpus.given[number] for number in used]

    def features(layer: int) -> Floats:
        pooled = samples.pooled(layer)
        return pooled if pool == "mean+std" else pooled[:, : pooled.shape[1] // 2]

    mel = samples.of_frames("mel_pooled")
    baseline = mel if pool == "mean+std" else mel[:, : mel.shape[1] // 2]
    owners = [str(number) for number in used] if None in speakers else [str(each) for each in speakers]
    if numbers_in(labels) is not None:
        parts = plain_parts(speakers, given)
        target = np.array([np.nan if label is None else float(label) for label in labels])
        return number_curve(
            field, target, parts, owners, features, baseline, samples.num_layers, f"{pool} of frames", tick
        )
    parts = parts_for(labels, speakers if field != "speaker" else [None] * len(used), given)
    return _classes(field, labels, parts, owners, features, baseline, samples.num_layers, f"{pool} of frames", tick)


def segment_curve(
    tier: Tier, corpus: AnalyzedCorpus, samples: LayerSamples, *, tick: Tick = lambda: None
) -> LayerCurve:
    """Probe the phones or words of segments, by the mean of their frames.

    Raises MeasurementError: too few of them.
    """
    found = samples.segments_of(tier)
    heard = ~np.isnan(samples.segments(0, tier)[:, 0])
    kept = [segment for segment, is_heard in zip(found, heard, strict=True) if is_heard]
    recordings = [segment.recording for segment in kept]
    speakers = [corpus.speakers[number] for number in recordings]
    labels: list[str | None] = [segment.text for segment in kept]
    parts = parts_for(labels, speakers, [corpus.given[number] for number in recordings], recordings)
    return _classes(
        tier,
        labels,
        parts,
        corpus.groups(recordings),
        lambda layer: samples.segments(layer, tier)[heard],
        None,
        samples.num_layers,
        "mean of the frames of each segment",
        tick,
        groups_for_test=True,
    )


def _classes(
    name: str,
    labels: Sequence[str | None],
    parts: Parts,
    owners: Sequence[str],
    features: Callable[[int], Floats],
    baseline: Floats | None,
    num_layers: int,
    pooled: str,
    tick: Tick,
    *,
    groups_for_test: bool = False,
) -> LayerCurve:
    draw_groups = (parts.across_speakers or groups_for_test) and len({owners[place] for place in parts.test}) > 1

    def probe(rows: Floats) -> ProbeResult:
        splits = [
            Split(
                rows[part],
                [str(labels[place]) for place in part],
                [owners[place] for place in part] if draw_groups else None,
            )
            for part in parts.each
        ]
        tick()
        return linear_probe(*splits)

    results = [probe(features(layer)) for layer in range(num_layers)]
    best = chosen_layer(results)
    groups = [owners[place] for place in parts.test] if draw_groups else None
    good = []
    for layer, result in enumerate(results):
        gap = np.array(results[best].correct, dtype=float) - np.array(result.correct, dtype=float)
        low, high = bootstrap_interval(gap, groups)
        if layer == best or low <= 0 <= high:
            good.append(layer)
    flat = None if baseline is None else probe(baseline)
    classes = len({labels[place] for place in parts.train})
    return LayerCurve(
        name=name,
        measure="accuracy",
        kind="probe",
        chance=results[0].chance,
        values=tuple(Estimate(each.accuracy, each.low, each.high) for each in results),
        best=best,
        as_good=tuple(good),
        baseline=None if flat is None else Estimate(flat.accuracy, flat.low, flat.high),
        how=f"{PROBE} {classes} classes; {_sizes(parts)}; {pooled}.",
    )


def number_curve(
    name: str,
    target: npt.NDArray[np.float64],
    parts: Parts,
    owners: Sequence[str],
    features: Callable[[int], Floats],
    baseline: Floats | None,
    num_layers: int,
    pooled: str,
    tick: Tick,
) -> LayerCurve:
    """Regress a number; rows where it is NaN are left out."""
    known = [part[~np.isnan(target[part])] for part in parts.each]

    def regress(rows: Floats) -> Regression:
        tick()
        return ridge(*(Numbered(rows[part], target[part], [owners[place] for place in part]) for part in known))

    results = [regress(features(layer)) for layer in range(num_layers)]
    best = int(np.argmax([result.dev_r2 for result in results]))
    flat = None if baseline is None else regress(baseline)
    return LayerCurve(
        name=name,
        measure="R2",
        kind="probe",
        chance=0.0,
        values=tuple(result.r2 for result in results),
        best=best,
        as_good=as_good_by_resamples(best, np.stack([result.replicates for result in results])),
        baseline=None if flat is None else flat.r2,
        how=f"Ridge regression on standardized features, its penalty and the best layer chosen on dev; "
        f"{_sizes(parts)}; {pooled}.",
    )


def _sizes(parts: Parts) -> str:
    return f"{len(parts.train)} to learn from, {len(parts.dev)} dev, {len(parts.test)} test, divided {parts.by}"
