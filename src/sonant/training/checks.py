"""Checks of the settings of a pretraining run, before anything is read or written."""

import math
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from sonant.checkpoints.checkpoint import meta_backbone
from sonant.data.settings import described, differences, json_values
from sonant.errors import ConfigurationError, UnknownName, some_of
from sonant.models import Backbone, BackboneConfig
from sonant.models.devices import usable_devices
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.pretraining.objectives import EXTRACTOR_START
from sonant.pretraining.targets import given_codebook
from sonant.training.compilation import encoders_to_compile
from sonant.training.recomputation import blocks_of
from sonant.training.runs import PretrainingRun, Stage
from sonant.training.trackers import check_trackers

# Endings of names of numbers from 0 to 1; of numbers above 0; and of counts that may be 0.
SHARES = ("probability", "share", "fraction", "dropout", "layerdrop", "overlap")
POSITIVE = ("eps", "norm", "temperature", "max_seconds", "batch_seconds")
LARGEST = 2**62
FEWEST = ("min_spans", "layer", "single_state", "left_reach", "right_reach")
IN_TRAINING_ALONE = ("type", "*dropout", "*layerdrop")  # model settings without effect on weights or evaluation


def check(run: PretrainingRun) -> None:
    """Raise ConfigurationError if a run cannot start with these settings."""
    if not run.data:
        raise ConfigurationError("The run has no data. Name a folder of recordings, or a manifest: data=PATH")
    check_numbers(run)
    usable_devices(run.device)
    check_trackers(run.trackers)
    run.probes.check(run.model)
    for stage in run.stages:
        _check_lengths(stage, run.model)
    backbone = meta_backbone(run.model)
    _check_models_before(run)
    for stage in run.stages:
        stage.setup.expect(backbone)
        _check_layers(stage, backbone)
        if stage.training.compile:
            encoders_to_compile(backbone)
        if stage.training.gradient_checkpointing:
            blocks_of(backbone)
        if stage.training.patience and not run.held_out_share:
            raise ConfigurationError(
                f"stages.{stage.name}.training.patience={stage.training.patience} was given, and nothing is held out "
                "to be evaluated. Set held_out_share=0.01, or patience=0."
            )
        if stage.extractor_steps and stage.start == "fresh":
            EXTRACTOR_START.expect(backbone)
        if stage.mixing.probability > 0 and stage.mixing.noise_probability > 0 and not run.noise:
            raise ConfigurationError(
                f"The stage {stage.name!r} mixes noises in (mixing.noise_probability is above 0), and there are none. "
                "Name a manifest of them: noise=PATH; or set mixing.noise_probability=0."
            )
        if stage.batching.reverb_probability > 0 and not run.impulse_responses:
            raise ConfigurationError(
                f"The stage {stage.name!r} reverberates (batching.reverb_probability is above 0), and there are no "
                "impulse responses. Name a manifest of them: impulse_responses=PATH; or set "
                "batching.reverb_probability=0."
            )
    for stage in run.stages[1:]:
        stage.setup.check(stage.objective, stage.name, run.model, run.model)


def _check_models_before(run: PretrainingRun) -> None:
    """Raise ConfigurationError if the first stage lacks a model before it, or does not use one that is given."""
    first = run.stages[0]
    of_targets = bool(first.setup.needs(first.objective))
    if first.needs_previous and not (run.teacher or run.initial_model):
        raise ConfigurationError(
            f"The stage {first.name!r} takes its targets or weights from the model before it, and there is none. Name "
            "one, a hub id, a folder or a file: teacher=MODEL gives targets; model=MODEL is trained further."
        )
    if run.initial_model and first.start == "fresh":
        raise ConfigurationError(
            f"{run.initial_model} was given to be trained further, and the first stage, {first.name!r}, starts from "
            f"fresh weights. Set stages.{first.name}.start=previous; or teacher={run.initial_model}, if it is to give "
            "the targets alone."
        )
    if run.teacher and not of_targets and (first.start == "fresh" or run.initial_model):
        raise ConfigurationError(
            f"The teacher {run.teacher} would not be used: the first stage, {first.name!r}, takes neither targets nor "
            "weights from it. Leave teacher out; or leave out the stages that need none, such as "
            f"stages={run.stages[-1].name}."
        )


def _check_lengths(stage: Stage, model: BackboneConfig) -> None:
    """Raise ConfigurationError if no clip fits into a batch, or a range is reversed."""
    batching, name = stage.batching, f"stages.{stage.name}"
    frame = model.receptive_field / model.sampling_rate
    if not max(batching.min_seconds, frame) <= batching.max_seconds <= batching.batch_seconds:
        raise ConfigurationError(
            f"{name}.batching: batch_seconds={batching.batch_seconds:g}, min_seconds={batching.min_seconds:g} and "
            f"max_seconds={batching.max_seconds:g} were given; expected min_seconds <= max_seconds <= batch_seconds, "
            f"and clips of one frame of the model at least, {frame:g} s. Where batches are to be short, clips must be: "
            f"{name}.batching.max_seconds={batching.batch_seconds:g}."
        )
    masking = stage.objective.masking
    if masking is not None and masking.equal and batching.fill != "shortest":
        raise ConfigurationError(
            f"{name}.objective.masking.equal=true was given with batching.fill={batching.fill}: clips of different "
            "lengths would all get as few masked frames as the shortest one. Set "
            f"{name}.batching.fill=shortest, or equal=false."
        )
    for each in ("speech_snr_db", "noise_snr_db"):
        low, high = getattr(stage.mixing, each)
        if low > high:
            raise ConfigurationError(
                f"{name}.mixing.{each}: a range from {low:g} to {high:g} dB ends before it begins."
            )


def _check_layers(stage: Stage, backbone: Backbone) -> None:
    """Raise UnknownName if the objective reads a layer that the model does not have."""
    known = range(backbone.num_layers + 1)
    for layer in stage.setup.layers(stage.objective):
        if layer not in known:
            raise UnknownName(f"layer of the objective of the stage {stage.name!r}:", layer, known)


def check_given(run: PretrainingRun, previous: Backbone, start: Backbone) -> None:
    """Raise ConfigurationError if the first stage cannot take its targets or weights from the given models.

    Args:
        previous: of the targets.
        start: of the weights.
    """
    stage = run.stages[0]
    for model, name in ((previous, run.teacher or run.initial_model), (start, run.initial_model or run.teacher)):
        check_finite(model, name)
    stage.setup.check(stage.objective, stage.name, previous.config, run.model)
    if isinstance(stage.objective, MaskedPredictionConfig) and isinstance(stage.objective.targets, LayerTargets):
        given_codebook(stage.objective.targets, previous)
    if stage.start == "previous" and stage.setup.runs_extractor:  # the vocabulary of codes is not known yet
        check_weights(stage, start, meta_backbone(run.model))


def check_finite(model: Backbone, name: str) -> None:
    """Raise ConfigurationError if a model to start from holds NaN or infinity."""
    if broken := [each for each, tensor in model.named_parameters() if not tensor.isfinite().all()]:
        raise ConfigurationError(
            f"The model {name} holds NaN or infinity ({some_of(broken, 3)}): its training failed, or its file is "
            "damaged. Give another one."
        )


def check_weights(stage: Stage, start: Backbone, backbone: Backbone) -> None:
    """Raise ConfigurationError if a stage cannot start from the weights of a model."""
    if differing := _differing(start, backbone):
        raise ConfigurationError(
            f"The stage {stage.name!r} starts from the weights of the model before it, which is another model "
            f"({described(differing)}). Give this run that model's settings, all of them with model=MODEL, or set "
            f"stages.{stage.name}.start=fresh."
        )


def check_finished(run: PretrainingRun, stage: Stage, model: Backbone) -> None:
    """Raise ConfigurationError if the model in the folder of a finished stage is not that of the run."""
    differing = _differing(model, meta_backbone(run.model)) if stage.setup.runs_extractor else {}
    if differing:
        raise ConfigurationError(
            f"The folder `model` of the finished stage {stage.name!r} holds another model than this run trains "
            f"({described(differing)}). Put the model of that stage back, or begin another run."
        )


def _differing(there: Backbone, here: Backbone) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two models differ; if there are none, the shapes, such as of a vocabulary."""
    settings = differences(_architecture(there), _architecture(here), may_differ=IN_TRAINING_ALONE)
    shapes = ({name: list(tensor.shape) for name, tensor in each.state_dict().items()} for each in (there, here))
    return settings or differences(*shapes)


def _architecture(model: Backbone) -> dict[str, Any]:
    """Return class and settings of a model, without those that have no effect."""
    settings = {"network": type(model).__name__, **json_values(model.config)}
    if not model.normalize:
        settings.pop("normalize_epsilon", None)
    return settings


def check_numbers(run: Any) -> None:
    """Raise ConfigurationError if a number in the settings of a run is out of its range."""
    for name, value, default in numbers(run):
        _check_number(name, value, default)


def numbers(config: Any, inside: str = "", default: Any = MISSING) -> Iterator[tuple[str, float, Any]]:
    """Yield dotted name, value and default of every number in the settings."""
    if is_dataclass(config):
        for each in fields(config):
            below = each.default if each.default_factory is MISSING else each.default_factory()
            yield from numbers(getattr(config, each.name), f"{inside}.{each.name}" if inside else each.name, below)
    elif isinstance(config, tuple):
        like = default if isinstance(default, tuple) and all(isinstance(item, int | float) for item in default) else ()
        for number, item in enumerate(config):
            name = str(getattr(item, "name", number))
            yield from numbers(item, f"{inside}.{name}", min(like, default=MISSING))
    elif isinstance(config, int | float) and not isinstance(config, bool):
        yield inside, config, default


def _check_number(name: str, value: float, default: Any) -> None:
    """Check the range of a number: at least 0 unless its default is negative, at least 1 for an integer size."""
    number = default if isinstance(default, int | float) else 1
    least = -math.inf if number < 0 else 1 if isinstance(value, int) and isinstance(number, int) and number > 0 else 0
    expected = {-math.inf: "a finite number", 0: "0 or more", 1: "1 or more"}[least]
    fits = math.isfinite(value) and least <= value < LARGEST
    word = "_" + next(part for part in reversed(name.split(".")) if not part.isdigit())
    if word.endswith(tuple(f"_{each}" for each in FEWEST)):
        expected, fits = "0 or more", value >= 0
    elif word == "_betas":
        expected, fits = "a number from 0 to below 1", 0 <= value < 1
    elif word.endswith(tuple(f"_{each}" for each in SHARES)):
        expected, fits = "a share between 0 and 1", 0 <= value <= 1
    elif word.endswith(tuple(f"_{each}" for each in POSITIVE)):
        expected, fits = "a number above 0", math.isfinite(value) and value > 0
    if not fits:
        most = f", and below {LARGEST:g}" if value >= LARGEST else ""
        raise ConfigurationError(f"{name}={value} was given; expected {expected}{most}.")
