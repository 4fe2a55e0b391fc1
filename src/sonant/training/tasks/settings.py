"""Settings of a training on labels."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sonant.errors import ConfigurationError, SonantWarning, warn
from sonant.models.devices import usable_devices
from sonant.training.checks import check_numbers
from sonant.training.named_run import SingleModelRun
from sonant.training.settings import Training
from sonant.training.tasks.batches import Augmentation, LabeledBatching
from sonant.training.tasks.dropout import DropoutRates
from sonant.training.tasks.feature_cache import DType
from sonant.training.tasks.lora import LoRA
from sonant.training.tasks.objective import Frozen
from sonant.training.tasks.task import Task
from sonant.training.trackers import TrackerName, check_trackers, installed_trackers

NO_LANGUAGE = "LANGUAGE"  # adapter of a recipe that trains one, in place of a language


@dataclass(frozen=True, kw_only=True)
class TaskRun(SingleModelRun):
    """Settings of a training on labels.

    Attributes:
        name: of its folder under `output`.
        task: settings of the task, whose type determines head, loss and metrics.
        label: field of the manifests with the label of a recording; or several, for tasks whose label is the values of
            all of them.
        on_error: rows of the manifests that have errors, such as no label or audio that cannot be decoded, are listed,
            and stop the run ("raise") or are left out ("skip"); see `sonant.data.check_labels`.
        model: model to start from: hub id, folder or file; or a Conformer on log-mel energies with random weights:
            log_mel_small, log_mel_medium or log_mel_large.
        data: manifest of the training set, or a folder with a manifest.jsonl.
        dev: manifest of the development set, which is evaluated every `training.validate_every` steps; the run ends
            with the weights that are best on it. Without one it ends with the last weights.
        layer: state that the head reads. "weighted" reads a sum of all of them with learned weights, "last" the output
            of the model; a number removes the layers above it, and reads the output of what is left.
        single_state: with layer=weighted, the number of the only state with a weight, from 0 to the number of layers,
            which is the output of the model; None: all weights are learned. The cache holds the same states for each.
        frozen: part that is not trained: the whole "backbone", its "extractor", or "nothing". It has no effect with
            adapters.
        lora: adapters, trained in place of all weights of the model.
        adapter: language of a model of MMS whose adapter is trained with its head, and no other weights: one that the
            model has (by default with a new head), or the name of a new one; `NO_LANGUAGE`: one must be given.
        dropout: rates of dropout, in place of those of the model.
        augmentation: changes of the training set.
        cache: folder of the states of frozen models, which are computed once for all epochs, and for all runs with this
            folder; "" computes them at each step. Each second of audio takes states * dim * 4 bytes * frame rate.
        cache_dtype: of the states in that folder; float16 takes half the space, and rounds.
        seed: of the head, batches and augmentation.
        trackers: where metrics are shown; by default TensorBoard, if it is installed.
    """

    name: str
    task: Task
    label: str | tuple[str, ...]
    on_error: Literal["raise", "skip"] = "raise"
    model: str = ""
    data: str = ""
    dev: str = ""
    layer: int | Literal["last", "weighted"] = "weighted"
    single_state: int | None = None
    frozen: Frozen = "backbone"
    lora: LoRA = LoRA()
    adapter: str = ""
    dropout: DropoutRates = DropoutRates()
    batching: LabeledBatching = LabeledBatching()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    cache: str = ""
    cache_dtype: DType = "float32"
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    trackers: tuple[TrackerName, ...] = field(default_factory=installed_trackers)

    @property
    def uses_cache(self) -> bool:
        """True if states are read from the cache: they are the same in each epoch."""
        return bool(self.cache) and not (self.augmentation.changes_states or self.task.makes_recordings)


def check(run: TaskRun) -> None:
    """Raise ConfigurationError if a run cannot start with these settings."""
    for name, example in (("model", "model=microsoft/wavlm-base-plus"), ("data", "data=train.jsonl")):
        if not getattr(run, name):
            raise ConfigurationError(f"The run has no {name}. Name one, such as {example}")
    if run.adapter == NO_LANGUAGE:
        raise ConfigurationError(
            "This run trains the adapter of one language, and has no language. Name one that the model has, or a new "
            "one, such as adapter=fra. With adapter= the head alone is trained."
        )
    if run.lora.save == "apart" and (not run.lora.rank or isinstance(run.layer, int)):
        raise ConfigurationError(
            f"lora.save=apart was given with lora.rank={run.lora.rank} and layer={run.layer}; adapters can be kept "
            "apart from a model if there are some (lora.rank=8), and no layers of it are removed (layer=last)."
        )
    if run.adapter and (run.task.kind != "ctc" or run.layer != "last" or run.lora.rank or run.cache):
        raise ConfigurationError(
            f"adapter={run.adapter} was given with layer={run.layer}, lora.rank={run.lora.rank} and "
            f"cache={run.cache!r}; the adapter of a language is trained with a CTC head over the output of the model. "
            "Set layer=last and lora.rank=0, and leave cache out."
        )
    if run.cache and (run.frozen != "backbone" or run.lora.rank):
        raise ConfigurationError(
            f"cache={run.cache} was given with frozen={run.frozen} and lora.rank={run.lora.rank}; states can be kept "
            "only of a model that is not trained. Set frozen=backbone and lora.rank=0, or leave cache out."
        )
    if run.cache and not run.uses_cache:
        warn(
            "The cache is not used: `augmentation`, or mixing, changes the recordings or their frames at each step, "
            "and so their states. Leave it out to compute states once.",
            SonantWarning,
        )
    if run.single_state is not None and run.layer != "weighted":
        raise ConfigurationError(
            f"single_state={run.single_state} was given with layer={run.layer}; it names one of the states of "
            "layer=weighted. Set that, or leave single_state out."
        )
    if run.augmentation.crop_seconds and not run.task.is_of_every_part:
        raise ConfigurationError(
            f"augmentation.crop_seconds={run.augmentation.crop_seconds:g} was given, and a part of a recording does "
            f"not have the label of the whole in {type(run.task).__name__}. Set augmentation.crop_seconds=0."
        )
    _check_mixtures(run)
    if run.training.patience and not run.dev:
        raise ConfigurationError(
            f"training.patience={run.training.patience} was given without a development set to evaluate. Name one: "
            "dev=dev.jsonl; or set training.patience=0."
        )
    is_mixed = run.task.kind == "ctc" and run.layer == "weighted"
    if run.lora.save == "apart" and (is_mixed or not run.task.is_for_transformers):
        raise ConfigurationError(
            f"lora.save=apart was given with layer={run.layer} and {run.task}, for whose head neither transformers nor "
            "peft has a class. Merge the adapters into the weights (lora.save=merged)."
        )
    _warn_of_parts_that_stay(run)
    check_numbers(run)
    usable_devices(run.device)
    check_trackers(run.trackers)


def _warn_of_parts_that_stay(run: TaskRun) -> None:
    """Warn of parts that would learn, and are frozen until the run ends: it trains the head alone."""
    if run.frozen == "backbone" and not (run.lora.rank or run.adapter):
        return
    for part in run.training.parts:
        if part.frozen_steps >= run.training.steps:
            key = f"training.parts.{part.name}.frozen_steps"
            warn(
                f"The run has training.steps={run.training.steps}, and {key}={part.frozen_steps}: the part "
                f"{part.name!r} never learns. Lower the latter ({key}=0), or train for longer; frozen=backbone says "
                "that the head learns alone.",
                SonantWarning,
            )


def _check_mixtures(run: TaskRun) -> None:
    """Raise ConfigurationError if mixtures and their sources would not belong together."""
    if not run.task.num_sources:
        return
    if replace(run.augmentation, crop_seconds=0.0) != Augmentation():
        raise ConfigurationError(
            "Settings of `augmentation` were given, which would change a mixture and leave its sources as they are. "
            "Leave them out; single speakers are varied by task.mixing."
        )
    if run.uses_cache and run.augmentation.crop_seconds:
        raise ConfigurationError(
            f"cache={run.cache} was given with augmentation.crop_seconds={run.augmentation.crop_seconds:g}; states of "
            "mixtures are kept of whole ones. Set augmentation.crop_seconds=0, or leave cache out."
        )
