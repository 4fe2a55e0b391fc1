"""Execution of trainings on labels."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sonant.checkpoints import Checkpoint, Head, make_backbone, save_pretrained
from sonant.checkpoints.checkpoint import meta_backbone
from sonant.checkpoints.files import write_json
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.checkpoints.languages import starting_in
from sonant.checkpoints.lora_writer import check_base, save_lora
from sonant.checkpoints.training_facts import MeasuredValue, TrainingFacts
from sonant.data.settings import json_values
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.catalog import CATALOG
from sonant.training.checks import check_finite
from sonant.training.log import Monitoring
from sonant.training.loop import train
from sonant.training.precision import autocast, computes_bfloat16
from sonant.training.ranks import first_then_others, on_first, process_group, rank, world
from sonant.training.tasks.batches import LabeledBatch, LabeledBatches
from sonant.training.tasks.feature_cache import CachedStates, FeatureCache, StateKind, StatesPlace
from sonant.training.tasks.lora import adapters_in, merge_adapters
from sonant.training.tasks.mixture_batches import MixtureBatches
from sonant.training.tasks.objective import TaskObjective, predict
from sonant.training.tasks.recordings import LabeledRecordings
from sonant.training.tasks.results import TaskResult
from sonant.training.tasks.sets import LabeledSets, open_sets
from sonant.training.tasks.settings import TaskRun, check
from sonant.training.tasks.task import Task
from sonant.training.validation import load_best


def train_task(run: TaskRun) -> Path:
    """Start or resume a run, and return the folder of the trained model; the processes of torchrun do it together.

    `output/waveforms` gets the decoded recordings, which other runs there use as well, and `output/name` `run.json`,
    state, metrics, and finally `result.json`, measures on the development set, and `model` with a README.md, in the
    layout of transformers where that has a class for the head, or of peft if adapters are kept apart.

    Raises:
        ConfigurationError: the run cannot start (its files are removed), its folder is of other settings, recordings
            or model, or another job uses it.
        ManifestError: recordings or labels cannot be used, or have changed since the run began.
        CheckpointError: the model cannot be read.
        RankError: another process of the run failed.
    """
    check(run)
    with process_group(run.device), ExitStack() as lock:
        checkpoint = first_then_others(lambda: fresh_or_loaded(run.model, seed=run.seed))
        checkpoint = starting_checkpoint(run, checkpoint)
        backbone = make_backbone(checkpoint)
        check_finite(backbone, run.model)
        sets = on_first(lambda: open_sets(run, checkpoint, backbone, lock))
        finished = run.folder / "model"
        if on_first(finished.is_dir):
            return finished
        torch.manual_seed(run.seed)
        objective = task_objective(run, backbone, sets.task, sets.classes)
        states: list[CachedStates | None] = [None, None]
        if run.uses_cache:
            states = [*cached_states(run, sets.model, sets.both, objective), None]
        train(
            objective,
            batches_of(
                run, sets.train, objective, augmentation=run.augmentation, states=states[0], rank=rank(), world=world()
            ),
            run.training,
            run.folder,
            # All batches of the development set, which `train` shares among the ranks.
            held_out=None if sets.dev is None else batches_of(run, sets.dev, objective, states=states[1]),
            criterion=sets.task.criterion,
            device=run.device,
            sampling_rate=backbone.sampling_rate,
            monitoring=Monitoring(title=run.name, trackers=run.trackers, settings=json_values(run)),
        )
        load_best(run.folder, objective)
        on_first(lambda: _save(run, objective, sets, checkpoint, states[1]))
    return finished


def starting_checkpoint(run: TaskRun, checkpoint: Checkpoint) -> Checkpoint:
    """Return the model of a run as it is at the start, from the one that the run names."""
    if run.lora.save == "apart":
        check_base(run.model, checkpoint.family, run.task.kind)
    if run.adapter:
        checkpoint = starting_in(checkpoint, run.adapter, run.model, seed=run.seed)
    return _with_layers(replace(checkpoint, config=run.dropout.of(checkpoint.config)), run)


def task_objective(run: TaskRun, backbone: Backbone, task: Task, classes: Sequence[str]) -> TaskObjective:
    """Return the objective of a run, with a fresh head over its model."""
    return TaskObjective(
        backbone,
        task,
        classes,
        weighted=run.layer == "weighted",
        single_state=run.single_state,
        frozen=run.frozen,
        adapter=bool(run.adapter),
        masks=run.augmentation.masks,
        lora=run.lora,
    )


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


def cached_states(
    run: TaskRun, model: str, sets: Sequence[LabeledRecordings], objective: TaskObjective
) -> list[CachedStates]:
    """Compute the states of all recordings that the cache lacks, on rank 0, and return those of each set.

    `model`: its fingerprint.
    """
    backbone, device = objective.backbone, torch.device(run.device)
    precision = run.training.precision if computes_bfloat16(device) else "float32"
    kind = StateKind(model, objective.read_states, backbone.dim, precision, run.cache_dtype)
    cache = FeatureCache(Path(run.cache).expanduser(), kind)

    def encode(clips: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        speech = Packed.pack(map(torch.from_numpy, clips)).to(device)
        with torch.no_grad(), autocast(device, precision):
            states = objective.states(LabeledBatch(speech, speech, len(speech.values)))
        return [each.float().cpu().numpy() for each in states]

    def fill() -> list[dict[int, StatesPlace]]:
        backbone.to(device).eval()
        return cache.fill(
            [(each.waveforms, each.used) for each in sets],
            encode,
            num_frames=backbone.num_frames,
            batch_samples=round(run.batching.batch_seconds * backbone.sampling_rate),
        )

    return list(map(cache.open, on_first(fill)))


def batches_of(
    run: TaskRun,
    recordings: LabeledRecordings,
    objective: TaskObjective,
    **more: Any,
) -> LabeledBatches:
    """Return batches of recordings; `more` goes to `LabeledBatches`."""
    make = LabeledBatches if recordings.mixer is None else partial(MixtureBatches, mixer=recordings.mixer)
    return make(
        recordings.waveforms,
        recordings.targets(objective.task, objective.classes),
        objective.backbone,
        batching=run.batching,
        recordings=recordings.used,
        min_frames=[objective.task.min_frames(label) for label in recordings.labels],
        seed=run.seed,
        **more,
    )


def _save(
    run: TaskRun, objective: TaskObjective, sets: LabeledSets, base: Checkpoint, dev_states: CachedStates | None
) -> None:
    """Measure the model on the development set, and write it with its results."""
    draft = run.folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    result = TaskResult()
    if sets.dev is not None:
        dev = batches_of(run, sets.dev, objective, states=dev_states)
        found = predict(objective, dev, sets.dev.speakers, precision=run.training.precision)
        result = sets.task.result(found, sets.classes)
        write_json(run.folder / "result.json", result.measures)
    backbone, lora = objective.backbone.eval(), run.lora
    facts = TrainingFacts(
        task=run.task.kind,
        base=_name(run.model),
        license=_license(run.model, base),
        recordings=len(sets.train.used),
        hours=sets.train.hours,
        labels=sets.classes,
        dev={name: MeasuredValue(**value) for name, value in result.measures.items() if _is_measured(value)},
    )
    notes = {**objective.head_notes(), **result.notes, **facts.notes()}
    if run.adapter and base.languages is not None:
        notes = base.languages.metadata(base.languages.named(run.adapter), notes)
    heads = {run.task.kind: Head(objective.head_tensors(), notes)}
    if lora.rank and lora.save == "apart":
        adapted = Checkpoint(backbone.config, backbone.state_dict(), heads)
        save_lora(
            draft,
            adapted,
            adapters_in(backbone),
            base=run.model,
            base_state=base.backbone_state,
            alpha=lora.alpha,
            dropout=lora.dropout,
        )
    else:
        merge_adapters(backbone)
        save_pretrained(backbone, draft, heads=heads, languages=base.languages if run.adapter else None)
    for name, path in objective.task.files().items():
        shutil.copyfile(path, draft / name)
    (draft / "README.md").write_text(facts.readme(), encoding="utf-8")
    if sets.dev is not None:
        labels = {number: sets.dev.labels[number] for number in sets.dev.used}
        objective.task.add_files(draft, sets.dev.waveforms, labels, sets.classes, device=run.device)
    draft.rename(run.folder / "model")


def _is_measured(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"value", "low", "high"}


def _name(model: str) -> str:
    """Return a name of the model to start from, without paths of this machine."""
    path = Path(model).expanduser()
    if not path.exists():
        return model
    path = path.resolve()
    return path.parent.name if path.name == "model" else path.name


def _license(model: str, checkpoint: Checkpoint) -> str | None:
    """Return the license of a model of the catalog, or of that from which sonant trained it."""
    before = TrainingFacts.of(checkpoint.heads)
    of_catalog = (card.license for card in CATALOG.values() if model in (card.name, card.short_name))
    return next(of_catalog, None if before is None else before.license)
