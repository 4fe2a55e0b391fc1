"""A pretraining run: stages of masked prediction, each on targets made by the one before."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch

from sonant import audio
from sonant.audio.augment import Mixing, Waveform
from sonant.checkpoints import load_backbone, save_pretrained
from sonant.data import WaveformStore, read_manifest
from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.models import WaveformTransformer, WavLMConfig, build
from sonant.pretraining import (
    Batching,
    LayerTargets,
    MaskedBatches,
    MaskedPrediction,
    MFCCTargets,
    SpectrumRegression,
    Targets,
    make_targets,
)
from sonant.training import Training, plot_curves, train


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One iteration: make targets, then learn to predict them.

    Attributes:
        name: of its folder.
        targets: what is predicted; clusters of a layer need a stage before this one.
        extractor_steps: steps in which the extractor alone learns log-mel energies before a fresh start.
        start: from fresh weights, or from those of the stage before (only the prediction head is fresh). For the first
            stage, the stage before is the run's teacher.
        projection_dim, unmasked_weight, feature_penalty, extractor_gradient: of `MaskedPrediction`.
    """

    name: str
    targets: Targets = MFCCTargets()
    start: Literal["fresh", "previous"] = "fresh"
    extractor_steps: int = 0
    batching: Batching = Batching()
    masking: SpanMasking = SpanMasking()
    mixing: Mixing = Mixing()
    training: Training = Training()
    projection_dim: int = 256
    unmasked_weight: float = 0.0
    feature_penalty: float = 10.0
    extractor_gradient: float = 0.1


@dataclass(frozen=True, kw_only=True)
class PretrainingRun:
    """A whole run.

    Attributes:
        name: of its folder under `output`.
        model: shape of the backbone.
        stages: the iterations, in order.
        data: folder with a manifest.jsonl, or a manifest.
        noise: manifest of noises, for stages whose mixing has a noise share.
        rooms: manifest of impulse responses, for stages with reverberation.
        teacher: a model (hub id, folder or file) that stands before the first stage: its layers give the targets, and
            its weights the start, where the first stage asks for them.
        output: folder of all runs.
        device: where to train.
        seed: of weights, batches, masks and clusters.
    """

    name: str
    model: WavLMConfig
    stages: tuple[Stage, ...]
    data: str = ""
    noise: str = ""
    rooms: str = ""
    teacher: str = ""
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0


def pretrain(run: PretrainingRun) -> Path:
    """Carry out a run, or go on with it, and return the folder of the pretrained model.

    Under `output/name`: `run.json`, the decoded `waveforms`, and for each stage a folder with its clusters and labels
    (`targets`), its state and metrics, and at its end the model in the Hugging Face layout (`model`); and, where
    matplotlib is installed, the `curves.png` of all stages.
    """
    if not run.data:
        raise ConfigurationError("The run has no data. Name a folder with a manifest.jsonl: data=PATH")
    folder = Path(run.output) / run.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(asdict(run), indent=2) + "\n")
    waveforms = WaveformStore.build(
        read_manifest(run.data), folder / "waveforms", sampling_rate=run.model.sampling_rate
    )
    noises, rooms = _waveforms(run.noise, run.model.sampling_rate), _waveforms(run.rooms, run.model.sampling_rate)
    previous = load_backbone(run.teacher) if run.teacher else None
    for number, stage in enumerate(run.stages):
        previous = _carry_out(run, number, stage, folder / stage.name, waveforms, previous, noises, rooms)
        if find_spec("matplotlib"):
            plot_curves({done.name: folder / done.name for done in run.stages[: number + 1]}, folder / "curves.png")
    return folder / run.stages[-1].name / "model"


def _carry_out(
    run: PretrainingRun,
    number: int,
    stage: Stage,
    folder: Path,
    waveforms: WaveformStore,
    previous: WaveformTransformer | None,
    noises: Sequence[Waveform],
    rooms: Sequence[Waveform],
) -> WaveformTransformer:
    if previous is None and (stage.start == "previous" or isinstance(stage.targets, LayerTargets)):
        raise ConfigurationError(
            f"The stage {stage.name!r} takes its targets or weights from the model before it, and there is none. "
            "Name one with teacher=MODEL: a hub id, a folder or a file."
        )
    seed = run.seed + number
    labels = make_targets(waveforms, stage.targets, folder / "targets", previous=previous, device=run.device, seed=seed)
    torch.manual_seed(seed)
    backbone = build(run.model)
    if stage.start == "previous" and previous is not None:
        _check_same_shape(previous, backbone, stage)
        backbone.load_state_dict(previous.state_dict())
    batches = MaskedBatches(
        waveforms,
        labels,
        backbone,
        batching=stage.batching,
        masking=stage.masking,
        mixing=stage.mixing,
        noises=noises,
        rooms=rooms,
        seed=seed,
    )
    if stage.extractor_steps and stage.start == "fresh":
        regression = SpectrumRegression(backbone.extractor, run.model.conv_channels[-1])
        short = replace(stage.training, steps=stage.extractor_steps)
        train(regression, batches, short, folder / "extractor", device=run.device)
    objective = MaskedPrediction(
        backbone,
        stage.targets.num_clusters,
        projection_dim=stage.projection_dim,
        unmasked_weight=stage.unmasked_weight,
        feature_penalty=stage.feature_penalty,
        extractor_gradient=stage.extractor_gradient,
    )
    train(objective, batches, stage.training, folder, device=run.device, sampling_rate=run.model.sampling_rate)
    save_pretrained(backbone.eval(), folder / "model")
    return backbone


def _check_same_shape(previous: WaveformTransformer, backbone: WaveformTransformer, stage: Stage) -> None:
    before, now = (
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} for model in (previous, backbone)
    )
    if differing := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        raise ConfigurationError(
            f"The stage {stage.name!r} starts from the weights of the model before it, which has another shape: "
            f"{len(differing)} tensors differ, the first is {differing[0]}. Set start=fresh, or give it that shape."
        )


def _waveforms(manifest: str, sampling_rate: int) -> list[Waveform]:
    if not manifest:
        return []
    return [audio.read(recording.path, sampling_rate=sampling_rate) for recording in read_manifest(manifest)]
