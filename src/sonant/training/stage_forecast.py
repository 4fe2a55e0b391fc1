"""Forecast of a stage of pretraining: its batches, its clusters, and the duration of its steps."""

from dataclasses import dataclass, field

import numpy as np

from sonant.errors import ConfigurationError
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.targets import FIT_SHARE, LayerTargets, ResidualLayerTargets, fits_clusters, num_drawn
from sonant.training.corpus_headers import CorpusHeaders
from sonant.training.pretrain import held_out_numbers
from sonant.training.ranks import world
from sonant.training.runs import PretrainingRun, Stage
from sonant.training.step_time import NotMeasured, StepTime, measure_step

FEW_FRAMES = 50  # a cluster
MOST_EPOCHS = 1000
LEAST_USED = 0.5  # of the audio, in an epoch


@dataclass(frozen=True)
class StageForecast:
    """Batches and duration of a stage.

    Attributes:
        batches: of this process in an epoch; 0 if none can be made.
        filled: mean share of `batch_seconds` in a batch.
        used: share of the corpus' audio in an epoch.
        epochs: how often the run goes through the corpus.
        step: None if it was not measured, for the reason in `not_measured`.
        target_hours: of computing labels with the model before, by a third of the time of a step; 0 if there are none.
    """

    name: str
    steps: int
    batches: int = 0
    filled: float = 0.0
    used: float = 0.0
    epochs: float = 0.0
    step: StepTime | None = None
    not_measured: str = ""
    target_hours: float = 0.0

    def hours(self, seconds: float) -> float:
        """Return the duration of the stage for a step of so many seconds."""
        return self.steps * seconds / 3600 + self.target_hours


@dataclass
class Findings:
    """Reasons why a run would fail or lose recordings, and odd settings with which it would go on."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def forecast_stage(
    run: PretrainingRun,
    stage: Stage,
    number: int,
    headers: CorpusHeaders,
    measured: dict[object, StepTime | str],
    limit_seconds: float,
    found: Findings,
) -> StageForecast:
    """Plan the first epoch of a stage, and measure a step.

    Args:
        number: of the stage in the run.
        measured: steps measured before, by what their duration depends on; this one is added.
        found: gets the problems and warnings.
    """
    batching, training, model = stage.batching, stage.training, run.model
    held_out = set(held_out_numbers(run, len(headers)))
    learned = [each for each in range(len(headers)) if each not in held_out]
    try:
        sampler = batching.sampler(
            headers.samples,
            model.sampling_rate,
            recordings=learned,
            stride=model.stride,
            receptive_field=model.receptive_field,
            seed=run.seed + number,
        )
    except ConfigurationError as error:
        found.problems.append(f"stages.{stage.name}: {error}")
        return StageForecast(stage.name, training.steps, not_measured="there is no batch")
    epoch = sampler.epoch(0)
    audio_samples = sum(length for layout in epoch for _, length in layout)
    batches, wanted = len(epoch) // world() or 1, training.grad_accumulation
    forecast = StageForecast(
        stage.name,
        training.steps,
        batches=batches,
        filled=audio_samples / len(epoch) / model.sampling_rate / batching.batch_seconds,
        used=audio_samples / max(1, int(headers.samples[learned].sum())),
        epochs=training.steps * wanted / batches,
    )
    _look_at_batches(stage, forecast, headers, model.sampling_rate, found)
    _look_at_clusters(stage, headers, model.stride, found)
    kind = (type(stage.objective), batching, training.precision, wanted)
    if kind not in measured:
        largest = max(epoch, key=lambda layout: sum(length for _, length in layout))
        try:
            measured[kind] = measure_step(model, stage, largest, run.device, limit_seconds=limit_seconds)
        except NotMeasured as reason:
            measured[kind] = str(reason)
    result = measured[kind]
    if isinstance(result, str):
        return StageForecast(**vars(forecast) | {"not_measured": result})
    targets = 0.0
    if isinstance(stage.objective, MaskedPredictionConfig) and isinstance(
        stage.objective.targets, LayerTargets | ResidualLayerTargets
    ):
        speed = result.expected / wanted / result.batch_audio / 3
        targets = (1 + FIT_SHARE) * headers.samples.sum() / model.sampling_rate * speed / 3600
    return StageForecast(**vars(forecast) | {"step": result, "target_hours": targets})


def _look_at_batches(
    stage: Stage, forecast: StageForecast, headers: CorpusHeaders, sampling_rate: int, found: Findings
) -> None:
    name, wanted = f"stages.{stage.name}", stage.training.grad_accumulation * world()
    if forecast.batches * world() < wanted:
        found.warnings.append(
            f"{name}: a step takes {wanted} batches, and an epoch has {forecast.batches}, so that every step repeats "
            f"the whole corpus. Lower {name}.training.grad_accumulation, or give more speech."
        )
    elif forecast.epochs > MOST_EPOCHS:
        found.warnings.append(
            f"{name}: the run would go through the corpus {forecast.epochs:,.0f} times. Lower {name}.training.steps."
        )
    if forecast.used < LEAST_USED:
        short = float(np.mean(headers.samples[headers.samples > 0] < sampling_rate * stage.batching.min_seconds))
        found.warnings.append(
            f"{name}: an epoch leaves {1 - forecast.used:.0%} of the audio out ({short:.0%} of the recordings are "
            f"shorter than batching.min_seconds={stage.batching.min_seconds:g}; longer ones are cropped to "
            f"{stage.batching.max_seconds:g} s, or to those in their batch)."
        )


def _look_at_clusters(stage: Stage, headers: CorpusHeaders, stride: int, found: Findings) -> None:
    if not isinstance(stage.objective, MaskedPredictionConfig):
        return
    targets = stage.objective.targets
    if not fits_clusters(targets):
        return
    clips = num_drawn(len(headers), FIT_SHARE)
    frames = int(headers.samples.sum() / stride * clips / len(headers))
    said = (
        f"stages.{stage.name}: {targets.num_clusters:,} clusters would be fitted on about {frames:,} frames of "
        f"{clips:,} recordings. Give more speech, or set stages.{stage.name}.objective.targets.num_clusters."
    )
    if frames < targets.num_clusters:
        found.problems.append(said)
    elif frames < FEW_FRAMES * targets.num_clusters or len(headers) < targets.num_clusters / FEW_FRAMES:
        found.warnings.append(said)
