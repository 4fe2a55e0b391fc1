"""Inspection of a training on labels before it starts: its data, the disk, and the duration of its steps."""

import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from sonant import audio
from sonant.checkpoints import make_backbone
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.data import ManifestEntry
from sonant.data.sampler import Layout
from sonant.data.settings import check_same_settings, json_values, read_settings
from sonant.errors import ManifestError
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.training.checks import check_finite
from sonant.training.corpus_headers import read_headers
from sonant.training.precision import autocast
from sonant.training.ranks import world
from sonant.training.runs import WAVEFORMS
from sonant.training.settings import Updates
from sonant.training.tasks.batches import LabeledBatch, sampler_of
from sonant.training.tasks.objective import TaskObjective
from sonant.training.tasks.run import starting_checkpoint, task_objective
from sonant.training.tasks.sets import FREE, LabeledRows, check_contents, read_labels
from sonant.training.tasks.settings import TaskRun, check
from sonant.training.tasks.targets import target_of

MEASURED_SECONDS = 16.0  # most audio in the measured batch
REPETITIONS = 3


@dataclass(frozen=True)
class TaskInspection:
    """Result of an inspection.

    Attributes:
        recordings, hours: of usable recordings, by set; hours by headers, or estimated from them.
        classes: number of classes.
        parameters, trained: numbers of the parameters of model and head, and of those that are trained.
        batches: of an epoch, of all processes.
        epochs: that the training takes.
        step_seconds: duration of a step, from a batch of MEASURED_SECONDS at most; of the last step, so that nothing is
            frozen for a time.
        state_hours: of computing the states for the cache; 0 without one.
        disk: bytes that the run writes, by purpose.
        disk_free: bytes that are free in `output`.
        problems: reasons why the run would fail.
    """

    recordings: Mapping[str, int]
    hours: Mapping[str, float]
    classes: int
    parameters: int
    trained: int
    batches: int
    epochs: float
    step_seconds: float
    state_hours: float
    disk: Mapping[str, int]
    disk_free: int
    problems: tuple[str, ...]


def inspect_task(run: TaskRun) -> TaskInspection:
    """Inspect a run, without writing anything but a fetched model into the cache of the hub.

    Raises:
        ConfigurationError: the run cannot start with these settings, or its folder is of a run with others.
        ManifestError: no row can be used.
        CheckpointError: the model cannot be read.
    """
    check(run)
    _check_begun(run)
    checkpoint = starting_checkpoint(run, fresh_or_loaded(run.model, seed=run.seed))
    backbone = make_backbone(checkpoint)
    check_finite(backbone, run.model)
    problems = []
    with TemporaryDirectory() as folder:
        try:
            rows = read_labels(run, checkpoint, backbone, Path(folder), on_error=run.on_error)
        except ManifestError as error:
            problems.append(str(error))
            rows = read_labels(run, checkpoint, backbone, Path(folder), on_error="skip")
        objective = task_objective(run, backbone, rows.task, rows.classes).to(run.device).train()
    lengths = {
        name: read_headers(entries, backbone.sampling_rate, seed=run.seed).samples
        for name, entries in rows.sets.items()
    }
    sampler = sampler_of(
        lengths["train"], backbone, batching=run.batching, augmentation=run.augmentation, seed=run.seed
    )
    samples = sum(int(each.sum()) for each in lengths.values())
    step, state = _measured(run, objective, rows, sampler[0])
    disk, free = _disk(run, objective, samples), shutil.disk_usage(_existing(run.folder)).free
    if sum(disk.values()) > free:
        problems.append(
            f"The run will write {sum(disk.values()) / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. Make room, or "
            "name another place: output=PATH."
        )
    batches, parts = len(sampler.epoch(0)), run.training.grad_accumulation * world()
    return TaskInspection(
        {name: len(entries) for name, entries in rows.sets.items()},
        {name: float(each.sum()) / backbone.sampling_rate / 3600 for name, each in lengths.items()},
        len(rows.classes),
        sum(each.numel() for each in objective.parameters()),
        sum(each.numel() for each in objective.parameters() if each.requires_grad),
        batches,
        run.training.steps * parts / batches,
        step * run.training.grad_accumulation,
        state * samples / backbone.sampling_rate / 3600,
        disk,
        free,
        tuple(problems),
    )


def _check_begun(run: TaskRun) -> None:
    path = run.folder / "run.json"
    if run.has_begun:
        before = read_settings(path)
        made_of = before.get("made_of", {})
        cached = {"states": "cached"} if run.uses_cache else {}
        check_contents(run, made_of, {name: made_of[name] for name in made_of.keys() - {"states"}} | cached)
        kept = {name: before[name] for name in ("made_of", WAVEFORMS) if name in before}
        check_same_settings(path, before, json_values(run) | {"processes": world()} | kept, may_differ=FREE)


def _measured(run: TaskRun, objective: TaskObjective, rows: LabeledRows, layout: Layout) -> tuple[float, float]:
    """Measure the seconds of a batch and its update, and the seconds of computing states for a second of audio."""
    device, rate = torch.device(run.device), objective.backbone.sampling_rate
    clips: list[NDArray[np.float32]] = []
    targets: list[torch.Tensor] = []
    numbers = {name: number for number, name in enumerate(rows.classes)}
    for member, length in layout:
        entry: ManifestEntry = rows.sets["train"][member]
        clip = audio.read(entry.audio, sampling_rate=rate, **entry.part)[:length]
        if clips and sum(map(len, clips)) + len(clip) > MEASURED_SECONDS * rate:
            break
        clips.append(clip)
        target = rows.task.target(rows.needs.label(entry), numbers)
        targets.append(target_of(target, objective.backbone.num_frames(len(clip)), objective.backbone.frame_rate))
    speech = Packed.pack(map(torch.from_numpy, clips))
    masks = run.augmentation.draw_masks(
        [objective.backbone.num_frames(each) for each in speech.sizes], objective.backbone.dim, np.random.default_rng(0)
    )
    wanted = Packed.pack(targets)
    if sources := rows.task.num_sources:
        wanted = speech.with_values(speech.values[:, None].expand(-1, sources).contiguous())
    batch = LabeledBatch(speech, wanted, len(speech.values), *masks).to(device)
    updates, states = Updates(objective, run.training), 0.0
    updates.prepare(run.training.steps - 1)

    def step() -> None:
        with autocast(device, run.training.precision):
            loss = objective(batch)
        loss.sum.backward()
        updates.step(skip=torch.zeros((), device=device))

    if run.uses_cache:
        with torch.no_grad():
            states = _seconds(lambda: objective.states(batch), device) / len(speech.values) * rate
            kept = batch.speech if sources else None
            batch = LabeledBatch(kept, batch.targets, batch.num_samples, states=objective.states(batch))
    return _seconds(step, device) * sum(length for _, length in layout) / batch.num_samples, states


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the median duration of some calls after a first one."""
    times = []
    for _ in range(REPETITIONS + 1):
        began = time.monotonic()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.monotonic() - began)
    return statistics.median(times[1:])


def _disk(run: TaskRun, objective: TaskObjective, samples: int) -> dict[str, int]:
    """Return the bytes that a run writes, by purpose; decoded recordings may be there already."""
    backbone: Backbone = objective.backbone
    kept = sum(each.numel() for each in objective.state_dict().values())
    trained = sum(each.numel() for each in objective.parameters() if each.requires_grad)
    states = len(objective.read_states) * backbone.dim * np.dtype(run.cache_dtype).itemsize
    return {
        "decoded recordings": 2 * samples,
        "states of the model": samples // backbone.stride * states if run.uses_cache else 0,
        "state, best weights and model": 4 * (2 * (kept + 2 * trained) + kept)  # the state twice while it is saved
        + 4 * sum(each.numel() for each in objective.parameters()),
    }


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.resolve().parents) if each.exists())
