"""Execution of pretraining runs."""

import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sonant.checkpoints import Head, load_backbone, load_checkpoint, make_backbone, save_pretrained
from sonant.data.settings import json_values
from sonant.loss import Objective
from sonant.models import Backbone
from sonant.pretraining.objective_setup import Setup
from sonant.pretraining.objectives import EXTRACTOR_START
from sonant.pretraining.stage_inputs import StageInputs
from sonant.training.checks import check, check_finished, check_given, check_weights
from sonant.training.curves import CurvesPicture
from sonant.training.log import Monitoring
from sonant.training.loop import train
from sonant.training.probes import Probes
from sonant.training.ranks import first_then_others, on_first, process_group, rank, world
from sonant.training.run_folder import open_run
from sonant.training.runs import PretrainingRun, Stage, completed
from sonant.training.stages import carry_out
from sonant.training.validation import load_best

HELD_OUT = 1  # with the run's seed, the seed of the held-out recordings


def pretrain(run: PretrainingRun) -> Path:
    """Start or resume a run, and return the folder of the pretrained model; the processes of torchrun do it together.

    `output/name` gets `run.json`, the decoded `waveforms`, `curves.png` if matplotlib is installed, and a folder for
    each stage: `targets` (clusters and labels), state, metrics, and finally `model`, in the layout of transformers.

    Raises:
        ConfigurationError: the run cannot start (its files are removed); its folder is of other settings, noises,
            impulse responses or teacher; or another job uses it.
        ManifestError: the data cannot be read, or have changed since the run began.
        MeasurementError: the recordings of a probe are too few.
        RankError: another process of the run failed.
    """
    run = completed(run)
    check(run)
    with process_group(run.device), ExitStack() as lock:
        teacher, initial = _load_given(run.teacher), _load_given(run.initial_model)
        previous, start = teacher or initial, initial or teacher
        if previous is not None and start is not None:
            check_given(run, previous.backbone, start.backbone)
        probes = Probes(run.probes)
        on_first(lambda: probes.read(run.model.sampling_rate))
        corpus = on_first(lambda: open_run(run, teacher and teacher.backbone, initial and initial.backbone, lock))
        if on_first(lambda: is_finished(run)):
            return _model_of(run, run.stages[-1])

        def load(stage: Stage, _: Before) -> Before:
            model = load_backbone(_model_of(run, stage))
            check_finished(run, stage, model)
            return Before(Given(model, None), Given(model, None))

        def work(stage: Stage, before: Before) -> Before:
            inputs = StageInputs(
                *corpus,
                batching=stage.batching,
                mixing=stage.mixing,
                folder=run.folder / stage.name,
                previous=None if before.previous is None else before.previous.backbone,
                device=run.device,
                seed=run.seed + run.stages.index(stage),
                rank=rank(),
                world=world(),
            )
            model = _train_stage(run, stage, inputs, before.start, probes)
            return Before(Given(model, None), Given(model, None))

        before = Before(previous, start)
        carry_out(run.stages, before, is_finished=lambda stage: _model_of(run, stage).is_dir(), load=load, work=work)
    return _model_of(run, run.stages[-1])


class Given(NamedTuple):
    """Model before a stage, and the pretraining head of its file."""

    backbone: Backbone
    head: Head | None


class Before(NamedTuple):
    """Models before a stage: `previous` gives its targets, `start` its weights."""

    previous: Given | None
    start: Given | None


def _load_given(source: str) -> Given | None:
    """Load a model that a run names; None if it names none."""
    if not source:
        return None
    checkpoint = first_then_others(lambda: load_checkpoint(source))
    return Given(make_backbone(checkpoint), checkpoint.heads.get("pretraining"))


def is_finished(run: PretrainingRun) -> bool:
    """Return True if the model of the last stage exists."""
    return _model_of(run, run.stages[-1]).is_dir()


def _model_of(run: PretrainingRun, stage: Stage) -> Path:
    """Return the folder of a stage's final model, which exists only if complete."""
    return run.folder / stage.name / "model"


def _train_stage(
    run: PretrainingRun, stage: Stage, inputs: StageInputs, start: Given | None, probes: Probes
) -> Backbone:
    """Train one stage, and save its model."""
    torch.manual_seed(inputs.seed)
    folder, setup = inputs.folder, stage.setup
    backbone = first_then_others(lambda: setup.fresh(run.model, inputs))
    if stage.start == "previous" and start is not None:
        check_weights(stage, start.backbone, backbone)
        backbone.load_state_dict(start.backbone.state_dict())
    held_out = held_out_numbers(run, len(inputs.waveforms))
    learned = [number for number in range(len(inputs.waveforms)) if number not in held_out] if held_out else None

    def batches(setup: Setup, inputs: StageInputs) -> Any:
        """Return batches; rank 0 makes their targets."""
        setup.expect(backbone)
        return first_then_others(lambda: setup.batches(stage.objective, backbone, inputs))

    if stage.extractor_steps and stage.start == "fresh":
        speech = batches(EXTRACTOR_START, replace(inputs, recordings=learned))
        regression = EXTRACTOR_START.build(backbone, stage.objective)
        short = replace(stage.training, steps=stage.extractor_steps, parts=())
        train(
            regression,
            speech,
            short,
            folder / "extractor",
            device=run.device,
            sampling_rate=run.model.sampling_rate,
            monitoring=Monitoring(title=f"{run.name}/{stage.name}/extractor", trackers=run.trackers),
        )
    labeled = batches(setup, replace(inputs, recordings=learned))
    picture = _picture(run, stage)
    objective = setup.build(backbone, stage.objective)
    objective.start(labeled[0])  # a resumed run overwrites these weights by its state, other ranks by those of rank 0
    if stage.start == "previous" and start is not None:
        head = start.head or Head({})
        objective.load_head(head.tensors, head.metadata)
    train(
        objective,
        labeled,
        stage.training,
        folder,
        # All held-out batches, which `train` shares among the ranks.
        held_out=batches(setup, _held_out_inputs(inputs, held_out, backbone)) if held_out else None,
        device=run.device,
        sampling_rate=run.model.sampling_rate,
        monitoring=_monitoring(run, stage, probes, backbone, picture),
    )
    load_best(folder, objective)
    on_first(lambda: _save(run, stage, objective, backbone))
    on_first(picture.draw)
    return backbone


def _picture(run: PretrainingRun, stage: Stage) -> CurvesPicture:
    """Return the picture of the stages up to this one."""
    folder, shown = run.folder, run.stages[: run.stages.index(stage) + 1]
    return CurvesPicture({each.name: {run.name: folder / each.name} for each in shown}, folder / "curves.png")


def _monitoring(
    run: PretrainingRun, stage: Stage, probes: Probes, backbone: Backbone, picture: CurvesPicture
) -> Monitoring:
    return Monitoring(
        title=f"{run.name}/{stage.name}",
        trackers=run.trackers,
        settings=json_values(stage) | {"model": json_values(run.model)},
        flops=lambda batch: stage.setup.training_flops(
            stage.objective, run.model, Counter(batch.clip_samples), len(batch.masked)
        ),
        probe=(lambda: probes(backbone)) if run.probes.are_wanted else None,
        probe_every=run.probes.every,
        picture=picture,
    )


def _save(run: PretrainingRun, stage: Stage, objective: Objective, backbone: Backbone) -> None:
    """Save the model of a stage."""
    head = Head(objective.head_tensors(), objective.head_notes())
    draft = run.folder / stage.name / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    save_pretrained(backbone.eval(), draft, heads={"pretraining": head} if head.tensors else None)
    draft.rename(_model_of(run, stage))


def held_out_numbers(run: PretrainingRun, num_recordings: int) -> list[int]:
    """Draw the numbers of the held-out recordings."""
    count = min(num_recordings - 1, max(1, round(run.held_out_share * num_recordings)))
    drawn = np.random.default_rng([run.seed, HELD_OUT]).permutation(num_recordings)
    return sorted(drawn[:count].tolist()) if run.held_out_share > 0 else []


def _held_out_inputs(inputs: StageInputs, held_out: list[int], backbone: Backbone) -> StageInputs:
    """Return the inputs of all held-out batches; recordings that do not fill a batch of exact size need not."""
    batching = inputs.batching
    longest = round(batching.max_seconds * backbone.sampling_rate)
    frames = sum(backbone.num_frames(min(int(inputs.waveforms.lengths[each]), longest)) for each in held_out)
    if frames < batching.batch_seconds * backbone.frame_rate:
        batching = replace(batching, fill="shortest")
    return replace(inputs, recordings=held_out, batching=batching, rank=0, world=1)
