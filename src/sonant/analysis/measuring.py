"""All measures of one model, from its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonant.analysis.corpus import AnalyzedCorpus
from sonant.analysis.frame_curves import Frames
from sonant.analysis.label_curves import Pooling, recording_curve, segment_curve
from sonant.analysis.plan import MODES
from sonant.analysis.plane_points import plane_points, shown_layers
from sonant.analysis.results import LayerCurve, ModelAnalysis, TaskWeights
from sonant.analysis.samples import LayerSamples
from sonant.analysis.summary import suggested_presets, summary_of
from sonant.analysis.timed_labels import Tier
from sonant.analysis.word_curves import abx_curve, word_pwcca
from sonant.data.progress import Progress
from sonant.errors import MeasurementError, MissingExtra
from sonant.models.families import Task

TIERS: tuple[Tier, ...] = ("phone", "word")


@dataclass(frozen=True, eq=False)
class Measures:
    """The measurements of a model, and sentences about what could not be measured."""

    model: ModelAnalysis
    not_measured: tuple[str, ...]


@dataclass(frozen=True)
class _Step:
    """One measure: its name for messages, and the function that makes its curves."""

    name: str
    make: Callable[..., LayerCurve | tuple[LayerCurve, ...]]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]


class _Ticks:
    """Counter of the layers of one measure, which has some number of them in all."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar, self._left = bar, total

    def __call__(self) -> None:
        if self._left:
            self._left -= 1
            self._bar.update()

    def finish(self) -> None:
        """Count the layers that are left."""
        self._bar.update(self._left)


def measure_model(
    name: str,
    revision: str,
    corpus: AnalyzedCorpus,
    samples: LayerSamples,
    *,
    fields: Sequence[str],
    places: Mapping[int, int],
    pool: Pooling = "mean",
    tasks: Mapping[Task, str] | None = None,
    weights: tuple[TaskWeights, ...] = (),
    progress: bool | None = False,
) -> Measures:
    """Measure all that the data can show.

    Args:
        fields: of the manifest, to be probed.
        places: number of the clip of each usable recording.
        pool: of the recordings' features.
        tasks: names of curves that stand for tasks, see `suggested_presets`.
    """
    frames = Frames(samples, corpus)
    steps = [_Step(field, recording_curve, (field, corpus, samples), {"pool": pool}) for field in fields]
    tiers = [tier for tier in TIERS if samples.segments_of(tier)]
    if not corpus.has_whole_words:
        steps += [_Step(tier, segment_curve, (tier, corpus, samples), {}) for tier in tiers]
    steps += [_Step(each, frames.regression, (each,), {}) for each in ("pitch", "log-energy")]
    if "phone" in tiers:
        steps.append(_Step("units", frames.units, (), {}))
    steps += [
        _Step(f"ABX of {tier}s {mode} speakers", abx_curve, (tier, mode, samples), {})
        for tier in tiers
        for mode in MODES
    ]
    if "word" in tiers:
        steps.append(_Step("CCA with words", word_pwcca, (corpus, samples), {}))
    steps += [
        _Step("CKA with log-mel", frames.mel_cka, (), {}),
        _Step("CCA with log-mel", frames.mel_pwcca, (), {}),
    ]
    missing = [f"No {tier}s with times are known: {_without(tier)}." for tier in TIERS if tier not in tiers]
    curves: list[LayerCurve] = []
    total = len(steps) * samples.num_layers + len(shown_layers(samples.num_layers))
    bar = Progress(total, title=f"measuring {name}", unit="layers", show=progress, leave=False)
    try:
        for step in steps:
            bar.note = step.name
            ticks = _Ticks(bar, samples.num_layers)
            try:
                made = step.make(*step.arguments, **step.named, tick=ticks)
                curves += made if isinstance(made, tuple) else [made]
            except MeasurementError as error:
                missing.append(f"{step.name}: {str(error).rstrip('.')}.")
            ticks.finish()
        bar.note = "projections"
        similarity = frames.layer_similarity()
        how: dict[str, Any] = {"tick": bar.update}
        try:
            projections = plane_points(corpus, samples, list(fields), places, with_tsne=True, **how)
        except MissingExtra as error:
            missing.append(f"t-SNE: {error}")
            projections = plane_points(corpus, samples, list(fields), places, with_tsne=False, **how)
    finally:
        bar.close()
    model = ModelAnalysis(
        name=name,
        revision=revision,
        layer_names=tuple(map(str, range(samples.num_layers))),
        curves=tuple(curves),
        similarity=similarity,
        projections=projections,
        task_weights=weights,
        presets=suggested_presets(curves, pool=pool, data=corpus.source, tasks=tasks or {}),
        summary=summary_of(curves),
    )
    return Measures(model, tuple(missing))


def _without(tier: Tier) -> str:
    if tier == "phone":
        return "probes of phones, purity and PNMI of units, and ABX of phones were left out"
    return "CCA with words and ABX of words were left out"
