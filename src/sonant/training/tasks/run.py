"""Runs of training on labels: their settings, and their execution."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from sonant.checkpoints import Checkpoint, Head, load_checkpoint, make_backbone, save_pretrained
from sonant.checkpoints.checkpoint import meta_backbone
from sonant.checkpoints.lora_writer import check_base, save_lora
from sonant.data import LabelNeeds, ManifestEntry, check_labels, read_manifest
from sonant.data.settings import json_values, write_or_check_settings
from sonant.errors import ConfigurationError, SonantWarning, warn
from sonant.models import Backbone
from sonant.models.devices import usable_devices
from sonant.models.identity import fingerprint
from sonant.training.checks import check_numbers
from sonant.training.log import Monitoring
from sonant.training.loop import train
from sonant.training.ranks import first_then_others, on_first, process_group, rank, world
from sonant.training.run_folder import held_folder
from sonant.training.settings import Training
from sonant.training.state import MAY_DIFFER
from sonant.training.tasks.batches import Augmentation, LabeledBatches, LabeledBatching
from sonant.training.tasks.lora import LoRA, adapters_in, merge_adapters
from sonant.training.tasks.objective import Frozen, TaskObjective
from sonant.training.tasks.recordings import LabeledRecordings
from sonant.training.tasks.task import Task
from sonant.training.trackers import TrackerName, check_trackers, installed_trackers
from sonant.training.validation import load_best

# Settings that may change when a run is resumed. Contents of model and recordings must be the same, paths need not.
FREE = (
    "device",
    "on_error",
    "output",
    "name",
    "data",
    "dev",
    "model",
    "trackers",
    *(f"training.{name}" for name in MAY_DIFFER),
)


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """Settings of a training on labels.

    Attributes:
        name: of its folder under `output`.
        task: settings of the task, whose type determines head, loss and metrics.
        label: field of the manifests with the label of a recording.
        on_error: rows of the manifests that have errors, such as no label, are listed, and stop the run ("raise") or
            are left out ("skip"); see `sonant.data.check_labels`.
        model: model to start from: hub id, folder or file.
        data: manifest of the training set, or a folder with a manifest.jsonl.
        dev: manifest of the development set, which is evaluated every `training.validate_every` steps; the run ends
            with the weights that are best on it. Without one it ends with the last weights.
        layer: state that the head reads. "weighted" reads a sum of all of them with learned weights, "last" the output
            of the model; a number removes the layers above it, and reads the output of what is left.
        frozen: part that is not trained: the whole "backbone", its "extractor", or "nothing". It has no effect with
            adapters.
        lora: adapters, trained in place of all weights of the model.
        augmentation: changes of the training set.
        seed: of the head, batches and augmentation.
        trackers: where metrics are shown; by default TensorBoard, if it is installed.
    """

    name: str
    task: Task
    label: str
    on_error: Literal["raise", "skip"] = "raise"
    model: str = ""
    data: str = ""
    dev: str = ""
    layer: int | Literal["last", "weighted"] = "weighted"
    frozen: Frozen = "backbone"
    lora: LoRA = LoRA()
    batching: LabeledBatching = LabeledBatching()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    trackers: tuple[TrackerName, ...] = field(default_factory=installed_trackers)

    def __post_init__(self) -> None:
        if not self.name or self.name in (".", "..") or set(self.name) & set("/\\"):
            raise ConfigurationError(f"A run names a folder, and {self.name!r} is no name for one.")

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.output).expanduser() / self.name


class LabeledSets(NamedTuple):
    """Recordings of a run, the task as fitted to their labels, and their classes."""

    task: Task
    classes: tuple[str, ...]
    train: LabeledRecordings
    dev: LabeledRecordings | None


def train_task(run: TaskRun) -> Path:
    """Start or resume a run, and return the folder of the trained model; the processes of torchrun do it together.

    `output/name` gets `run.json`, the decoded `waveforms`, state, metrics, and finally `model`, in the layout of
    transformers where that has a class for the head, or of peft if adapters are kept apart.

    Raises:
        ConfigurationError: the run cannot start (its files are removed), its folder is of other settings, recordings
            or model, or another job uses it.
        ManifestError: recordings or labels cannot be used, or have changed since the run began.
        CheckpointError: the model cannot be read.
        RankError: another process of the run failed.
    """
    _check(run)
    with process_group(run.device), ExitStack() as lock:
        checkpoint = first_then_others(lambda: load_checkpoint(run.model))
        if run.lora.save == "apart":
            check_base(run.model, checkpoint.family, run.task.kind)
        backbone = make_backbone(_with_layers(checkpoint, run))
        sets = on_first(lambda: _open(run, checkpoint, backbone, lock))
        finished = run.folder / "model"
        if on_first(finished.is_dir):
            return finished
        torch.manual_seed(run.seed)
        objective = TaskObjective(
            backbone,
            sets.task,
            sets.classes,
            weighted=run.layer == "weighted",
            frozen=run.frozen,
            masks=run.augmentation.masks,
            lora=run.lora,
        )
        train(
            objective,
            _batches(run, sets.train, objective, augmentation=run.augmentation, rank=rank(), world=world()),
            run.training,
            run.folder,
            # All batches of the development set, which `train` shares among the ranks.
            held_out=None if sets.dev is None else _batches(run, sets.dev, objective),
            criterion=run.task.criterion,
            device=run.device,
            sampling_rate=backbone.sampling_rate,
            monitoring=Monitoring(title=run.name, trackers=run.trackers, settings=json_values(run)),
        )
        load_best(run.folder, objective)
        on_first(lambda: _save(run, objective))
    return finished


def is_trained(run: TaskRun) -> bool:
    """Return True if the model of a run exists."""
    return (run.folder / "model").is_dir()


def _check(run: TaskRun) -> None:
    """Raise ConfigurationError if a run cannot start with these settings."""
    for name, example in (("model", "model=microsoft/wavlm-base-plus"), ("data", "data=train.jsonl")):
        if not getattr(run, name):
            raise ConfigurationError(f"The run has no {name}. Name one, such as {example}")
    if run.lora.save == "apart" and (not run.lora.rank or isinstance(run.layer, int)):
        raise ConfigurationError(
            f"lora.save=apart was given with lora.rank={run.lora.rank} and layer={run.layer}; adapters can be kept "
            "apart from a model if there are some (lora.rank=8), and no layers of it are removed (layer=last)."
        )
    check_numbers(run)
    usable_devices(run.device)
    check_trackers(run.trackers)


def _with_layers(checkpoint: Checkpoint, run: TaskRun) -> Checkpoint:
    """Return the checkpoint without the layers above the one that is read, if that is given by number."""
    if isinstance(run.layer, str):
        return checkpoint
    config, layers = checkpoint.config, checkpoint.config.num_layers
    if not 1 <= run.layer <= layers or "num_layers" not in config.__dataclass_fields__:
        raise ConfigurationError(
            f"layer={run.layer} was given; expected last, weighted, or the number of layers to keep, from 1 to "
            f"{layers}, of a model with a Transformer. {run.model} is a {checkpoint.family} of {layers} layers."
        )
    shorter = replace(config, num_layers=run.layer)
    names = meta_backbone(shorter).state_dict()
    state = {name: tensor for name, tensor in checkpoint.backbone_state.items() if name in names}
    return replace(checkpoint, config=shorter, backbone_state=state)


def _open(run: TaskRun, checkpoint: Checkpoint, backbone: Backbone, lock: ExitStack) -> LabeledSets:
    """Lock the folder of a run, decode its recordings, and check or write its settings."""
    lock.enter_context(held_folder(run.folder))
    begun = is_trained(run) or (run.folder / "state.pt").exists()

    needs = LabelNeeds(
        column=run.label,
        normalize=run.task.normalized,
        num_frames=lambda seconds: backbone.num_frames(round(seconds * backbone.sampling_rate)),
    )
    data, dev = read_manifest(run.data), read_manifest(run.dev) if run.dev else []
    labels = [label for entry in data if (label := needs.label(entry))]
    task = run.task.fitted(labels, checkpoint=checkpoint, model=run.model, folder=run.folder)
    classes = task.classes(labels) if labels else ()
    known = set(classes)
    needs = replace(
        needs,
        min_frames=task.min_frames,
        outside=lambda label: [unit for unit in task.units(label) if unit not in known],
    )
    checked = check_labels(data, dev, needs=needs, on_error=run.on_error)
    if checked.report:
        warn(checked.report, SonantWarning)

    def read(entries: Sequence[ManifestEntry], name: str) -> LabeledRecordings:
        return LabeledRecordings.read(
            entries,
            list(map(needs.label, entries)),
            run.folder / "waveforms" / name,
            task,
            backbone=backbone,
            max_seconds=run.batching.max_seconds,
        )

    sets = LabeledSets(task, classes, read(checked.train, "train"), read(checked.dev, "dev") if run.dev else None)
    made_of = {
        "model": fingerprint(backbone),
        "data": sets.train.fingerprint,
        "dev": None if sets.dev is None else sets.dev.fingerprint,
    }
    settings = json_values(run) | {"processes": world(), "made_of": made_of}
    write_or_check_settings(run.folder / "run.json", settings, has_results=begun, may_differ=FREE)
    return sets


def _batches(
    run: TaskRun,
    recordings: LabeledRecordings,
    objective: TaskObjective,
    **more: Any,
) -> LabeledBatches:
    """Return batches of recordings; `more` goes to `LabeledBatches`."""
    return LabeledBatches(
        recordings.waveforms,
        recordings.units(objective.task, {name: number for number, name in enumerate(objective.classes)}),
        objective.backbone,
        batching=run.batching,
        recordings=recordings.used,
        seed=run.seed,
        **more,
    )


def _save(run: TaskRun, objective: TaskObjective) -> None:
    draft = run.folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    backbone, lora = objective.backbone.eval(), run.lora
    heads = {run.task.kind: Head(objective.head_tensors(), objective.head_notes())}
    if lora.rank and lora.save == "apart":
        adapted = Checkpoint(backbone.config, backbone.state_dict(), heads)
        save_lora(draft, adapted, adapters_in(backbone), base=run.model, alpha=lora.alpha, dropout=lora.dropout)
    else:
        merge_adapters(backbone)
        save_pretrained(backbone, draft, heads=heads)
    for name, path in objective.task.files().items():
        shutil.copyfile(path, draft / name)
    draft.rename(run.folder / "model")
