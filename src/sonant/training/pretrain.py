"""Carries out a pretraining run, or goes on with it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sonant.audio.augment import Waveforms
from sonant.checkpoints import Head, load_backbone, load_checkpoint, make_backbone, save_pretrained
from sonant.data import WaveformStore, read_manifest
from sonant.data.lock import held
from sonant.data.settings import plain, settle
from sonant.errors import ConfigurationError, ManifestError, SonantError
from sonant.loss import Objective
from sonant.models import Backbone
from sonant.models.identity import fingerprint
from sonant.pretraining.setups import EXTRACTOR_START, Material, Setup
from sonant.training.checks import check, check_start
from sonant.training.curves import plot_curves
from sonant.training.loop import DivergedError, train
from sonant.training.ranks import rank, world
from sonant.training.runs import WAVEFORMS, PretrainingRun, Stage
from sonant.training.validation import load_best

HELD_OUT = 1  # beside the seed, of the drawing of recordings
# What may change when a run is taken up again. Of data, noises, impulse responses and teacher the contents count, not
# where the list or the file lies.
FREE = (
    "device",
    "output",
    "name",
    "data",
    "noise",
    "impulse_responses",
    "teacher",
    "stages.*.training.log_every",
    "stages.*.training.save_every",
    "stages.*.training.validate_every",
)


def pretrain(run: PretrainingRun) -> Path:
    """Carry out a run, or go on with it, and return the folder of the pretrained model.

    Under `output/name`: `run.json`, the decoded `waveforms`, and for each stage a folder with its clusters and labels
    (`targets`, where it has any), its state and metrics, and at its end the model in the Hugging Face layout (`model`);
    and, where matplotlib is installed, the `curves.png` of all stages. A finished run is left as it is.

    Raises:
        ConfigurationError: the run cannot start, or the folder holds a run with other settings, noises,
            impulse responses or another teacher, or another job works there. What a run that cannot start has
            written is removed.
        ManifestError: the data cannot be read, or have changed since the run began.
    """
    check(run)
    folder = folder_of(run)
    recordings = read_manifest(run.data)
    rate = run.model.sampling_rate
    teacher = load_checkpoint(run.teacher) if run.teacher else None
    previous = None if teacher is None else make_backbone(teacher)
    head = None if teacher is None else teacher.heads.get("pretraining")
    with _held(folder):
        begun = any(entry.is_dir() and entry.name != WAVEFORMS for entry in folder.iterdir())
        noises = _stored(run.noise, folder / WAVEFORMS / "noise", rate)
        impulse_responses = _stored(run.impulse_responses, folder / WAVEFORMS / "impulse_responses", rate)
        made_of = {
            "noise": _content(noises),
            "impulse_responses": _content(impulse_responses),
            "teacher": None if previous is None else fingerprint(previous),
        }
        settings = plain(run) | {"made_of": made_of}
        if begun:
            settle(folder / "run.json", settings, bound=True, free=FREE)
        waveforms = WaveformStore.build(recordings, folder / WAVEFORMS, sampling_rate=rate)
        if not begun:
            settle(folder / "run.json", settings, bound=False)
        if is_finished(run):
            return _model_of(run, run.stages[-1])
        for number, stage in enumerate(run.stages):
            if _model_of(run, stage).is_dir():
                previous = load_backbone(_model_of(run, stage))
            else:
                material = Material(
                    waveforms,
                    noises,
                    impulse_responses,
                    batching=stage.batching,
                    mixing=stage.mixing,
                    folder=folder / stage.name,
                    previous=previous,
                    device=run.device,
                    seed=run.seed + number,
                    rank=rank(),
                    world=world(),
                )
                previous = _carry_out(run, stage, material, head, _held_out(run, len(waveforms)))
                if find_spec("matplotlib"):
                    plot_curves(
                        {done.name: folder / done.name for done in run.stages[: number + 1]}, folder / "curves.png"
                    )
            head = None  # of another objective, or other targets, than the next stage's
    return _model_of(run, run.stages[-1])


def folder_of(run: PretrainingRun) -> Path:
    """Return where a run writes."""
    return Path(run.output).expanduser() / run.name


def is_finished(run: PretrainingRun) -> bool:
    """Return whether the folder of a run holds the model of its last stage."""
    return _model_of(run, run.stages[-1]).is_dir()


def _model_of(run: PretrainingRun, stage: Stage) -> Path:
    """The model that a stage ends with; the folder appears when it is whole."""
    return folder_of(run) / stage.name / "model"


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder of a run; a run that is refused before its first step leaves none, unless it was there before."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    if any(each.exists() and not each.is_dir() for each in (folder, *folder.parents)):
        raise ConfigurationError(
            f"{folder} cannot be the folder of a run: part of its path is a file. Set output=PATH."
        )
    with held(folder, is_folder=True):
        is_new = bool(missing) and len(list(folder.iterdir())) == 1  # the lock; another job may have been faster
        try:
            yield
        except SonantError as error:
            trained = isinstance(error, DivergedError) or any(folder.rglob("state.pt"))
            if is_new and not trained:
                shutil.rmtree(missing[-1])
            raise


def _carry_out(
    run: PretrainingRun, stage: Stage, material: Material, head: Head | None, held_out: Sequence[int]
) -> Backbone:
    """Train one stage, and save its model."""
    torch.manual_seed(material.seed)
    folder, setup, previous = material.folder, stage.setup, material.previous
    backbone = setup.fresh(run.model, material)
    if previous is not None:
        check_start(run, stage, previous, backbone)
        if stage.start == "previous":
            backbone.load_state_dict(previous.state_dict())
    learned = [number for number in range(len(material.waveforms)) if number not in held_out] if held_out else None

    def parts(setup: Setup) -> tuple[Objective, Any]:
        """The objective of a row, and what it learns from."""
        setup.expect(backbone)
        batches = setup.batches(stage.objective, backbone, material.of(learned))
        return setup.build(backbone, stage.objective), batches

    if stage.extractor_steps and stage.start == "fresh":
        regression, batches = parts(EXTRACTOR_START)
        short = replace(stage.training, steps=stage.extractor_steps, parts=())
        train(regression, batches, short, folder / "extractor", device=run.device)
    objective, batches = parts(setup)
    objective.start(batches[0])  # a run that goes on has its weights from its state
    if stage.start == "previous" and head is not None:
        objective.load_head(head.tensors)
    train(
        objective,
        batches,
        stage.training,
        folder,
        held_out=setup.batches(stage.objective, backbone, material.of(held_out)) if held_out else None,
        device=run.device,
        sampling_rate=run.model.sampling_rate,
    )
    load_best(folder, objective)
    made = Head(objective.head_tensors(), objective.head_notes())
    draft = folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    save_pretrained(backbone.eval(), draft, heads={"pretraining": made} if made.tensors else None)
    draft.rename(_model_of(run, stage))
    return backbone


def _held_out(run: PretrainingRun, num_recordings: int) -> list[int]:
    """The numbers of the recordings that are never learned from."""
    count = min(num_recordings - 1, max(1, round(run.held_out_share * num_recordings)))
    drawn = np.random.default_rng([run.seed, HELD_OUT]).permutation(num_recordings)
    return sorted(drawn[:count].tolist()) if run.held_out_share > 0 else []


def _stored(manifest: str, folder: Path, sampling_rate: int) -> Waveforms:
    """Noises or impulse responses, read from disk by number; in float32, as many exceed full scale."""
    if not manifest:
        return ()
    store = WaveformStore.build(read_manifest(manifest), folder, sampling_rate=sampling_rate, sample_type="float32")
    if store.skipped:
        raise ManifestError(
            f"{len(store.skipped)} of the recordings of {manifest} cannot be read. The first: "
            f"{next(iter(store.skipped.values()))} Mend them, or take them out of the list."
        )
    return store


def _content(waveforms: Waveforms) -> dict[str, Any]:
    """Return what tells one collection of waveforms from another."""
    digest = sha256()
    for number in range(len(waveforms)):
        waveform = waveforms[number]
        digest.update(f"{len(waveform)} ".encode())
        digest.update(waveform.data)
    return {"recordings": len(waveforms), "hash": f"sha256:{digest.hexdigest()[:16]}"}
