"""A pretraining run: stages that follow one another, each with an objective of its own."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar, assert_never

import torch
from torch import nn

from sonant import audio
from sonant.audio.augment import Mixing, Waveform
from sonant.checkpoints import Head, load_checkpoint, make_backbone, save_pretrained
from sonant.data import WaveformStore, read_manifest
from sonant.errors import ConfigurationError
from sonant.models import (
    Backbone,
    BackboneConfig,
    DiscreteBERTConfig,
    MaskableBackbone,
    W2vBERT2,
    WaveformConvNet,
    WaveformTransformer,
    build,
)
from sonant.models.discrete_bert import DiscreteBERT, on_tokenizer
from sonant.models.vq_wav2vec import VQWav2Vec
from sonant.pretraining import (
    Batching,
    FutureContrast,
    FutureContrastConfig,
    LayerTargets,
    MaskedContrast,
    MaskedContrastConfig,
    MaskedPrediction,
    MaskedPredictionConfig,
    MaskedTokens,
    MaskedTokensConfig,
    SpectrumRegression,
    SpeechBatches,
    TokenBatches,
    W2vBERTObjective,
    W2vBERTObjectiveConfig,
    make_codes,
    make_targets,
)
from sonant.training import Training, plot_curves, train

ObjectiveConfig = (
    MaskedPredictionConfig | MaskedContrastConfig | FutureContrastConfig | MaskedTokensConfig | W2vBERTObjectiveConfig
)

B = TypeVar("B", bound=Backbone)

# What the models that an objective can train are called.
WHAT_WORKS: dict[type[Backbone], str] = {
    MaskableBackbone: "wav2vec 2.0, HuBERT, WavLM and w2v-BERT 2.0",
    WaveformTransformer: "wav2vec 2.0, HuBERT and WavLM",
    W2vBERT2: "w2v-BERT 2.0",
    WaveformConvNet: "wav2vec and vq-wav2vec",
    DiscreteBERT: "a discrete BERT",
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training: an objective, and the speech it sees.

    Attributes:
        name: of its folder.
        objective: settings of what is learned; their type says which objective it is.
        start: from fresh weights, or from those of the stage before (only what the objective adds is fresh). For the
            first stage, the stage before is the run's teacher; a contrast goes on with the quantiser of its file, if
            that has one.
        extractor_steps: steps in which the extractor alone learns log-mel energies before a fresh start.
        batching: how much speech a step sees.
        mixing: what is mixed into it.
        training: how long and how fast.
    """

    name: str
    objective: ObjectiveConfig
    start: Literal["fresh", "previous"] = "fresh"
    extractor_steps: int = 0
    batching: Batching = Batching()
    mixing: Mixing = Mixing(probability=0.0)
    training: Training = Training()


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
    model: BackboneConfig
    stages: tuple[Stage, ...]
    data: str = ""
    noise: str = ""
    rooms: str = ""
    teacher: str = ""
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True)
class Corpus:
    """What a run learns from, decoded."""

    waveforms: WaveformStore
    noises: Sequence[Waveform]
    rooms: Sequence[Waveform]


def pretrain(run: PretrainingRun) -> Path:
    """Carry out a run, or go on with it, and return the folder of the pretrained model.

    Under `output/name`: `run.json`, the decoded `waveforms`, and for each stage a folder with its clusters and labels
    (`targets`, where it has any), its state and metrics, and at its end the model in the Hugging Face layout (`model`);
    and, where matplotlib is installed, the `curves.png` of all stages.
    """
    if not run.data:
        raise ConfigurationError("The run has no data. Name a folder with a manifest.jsonl: data=PATH")
    folder = Path(run.output) / run.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(asdict(run), indent=2) + "\n")
    rate = run.model.sampling_rate
    corpus = Corpus(
        WaveformStore.build(read_manifest(run.data), folder / "waveforms", sampling_rate=rate),
        _waveforms(run.noise, rate),
        _waveforms(run.rooms, rate),
    )
    teacher = load_checkpoint(run.teacher) if run.teacher else None
    previous = None if teacher is None else make_backbone(teacher)
    head = None if teacher is None else teacher.heads.get("pretraining")
    for number, stage in enumerate(run.stages):
        previous = _carry_out(run, number, stage, folder / stage.name, corpus, previous, head)
        head = None  # of another objective, or other targets, than the next stage's
        if find_spec("matplotlib"):
            plot_curves({done.name: folder / done.name for done in run.stages[: number + 1]}, folder / "curves.png")
    return folder / run.stages[-1].name / "model"


def _carry_out(
    run: PretrainingRun,
    number: int,
    stage: Stage,
    folder: Path,
    corpus: Corpus,
    previous: Backbone | None,
    previous_head: Head | None,
) -> Backbone:
    if previous is None and needs_previous(stage):
        raise ConfigurationError(
            f"The stage {stage.name!r} takes its targets or weights from the model before it, and there is none. "
            "Name one with teacher=MODEL: a hub id, a folder or a file."
        )
    seed = run.seed + number
    torch.manual_seed(seed)
    backbone = _fresh(run, folder, corpus, previous)
    if stage.start == "previous" and previous is not None:
        _check_same_shape(previous, backbone, stage)
        backbone.load_state_dict(previous.state_dict())

    if stage.extractor_steps and stage.start == "fresh":
        model = _expect(WaveformTransformer, backbone, "A start of the extractor")
        regression = SpectrumRegression(model.extractor, model.config.conv_channels[-1])
        short = replace(stage.training, steps=stage.extractor_steps)
        batches = _speech_batches(stage, corpus, backbone, seed)
        train(regression, batches, short, folder / "extractor", device=run.device)
    objective, stream = _set_up(stage, folder, corpus, backbone, previous, device=run.device, seed=seed)
    if stage.start == "previous" and previous_head is not None and isinstance(objective, MaskedContrast):
        objective.load_head(previous_head.tensors)
    train(objective, stream, stage.training, folder, device=run.device, sampling_rate=run.model.sampling_rate)
    groups = getattr(stage.objective, "groups", None)  # of a quantiser, which its tensors do not tell
    head = Head(objective.head(), {} if groups is None else {"groups": groups})
    save_pretrained(backbone.eval(), folder / "model", heads={"pretraining": head} if head.tensors else None)
    return backbone


def _fresh(run: PretrainingRun, folder: Path, corpus: Corpus, previous: Backbone | None) -> Backbone:
    """The run's model with fresh weights; a discrete BERT gets its tokenizer and vocabulary from the model before."""
    if not isinstance(run.model, DiscreteBERTConfig):
        return build(run.model)
    match previous:
        case VQWav2Vec():
            codes = make_codes(corpus.waveforms, previous, folder / "targets", device=run.device)
            return on_tokenizer(run.model, previous, codes.words)
        case DiscreteBERT():
            known = previous.vocabulary
            return on_tokenizer(run.model, previous.tokenizer, known.codes[known.words])
    raise ConfigurationError(
        f"A discrete BERT learns from the codes of a vq-wav2vec, or goes on from a discrete BERT; the teacher is a "
        f"{type(previous).__name__}. Name a vq-wav2vec: teacher=MODEL."
    )


def needs_previous(stage: Stage) -> bool:
    """Whether a stage takes targets, codes or weights from the model before it."""
    layers = isinstance(getattr(stage.objective, "targets", None), LayerTargets)
    return stage.start == "previous" or layers or isinstance(stage.objective, MaskedTokensConfig)


def _set_up(
    stage: Stage,
    folder: Path,
    corpus: Corpus,
    backbone: Backbone,
    previous: Backbone | None,
    *,
    device: str,
    seed: int,
) -> tuple[Any, Callable[[int], Iterator[Any]]]:
    """The objective around the backbone, and the batches that it learns from."""
    match stage.objective:
        case MaskedPredictionConfig() as config:
            model = _expect(MaskableBackbone, backbone, "Masked prediction")  # before the targets, which take long
            labels = make_targets(
                corpus.waveforms, config.targets, folder / "targets", previous=previous, device=device, seed=seed
            )
            batches = _speech_batches(stage, corpus, backbone, seed, masking=config.masking, labels=labels)
            return MaskedPrediction(model, config), batches
        case MaskedContrastConfig() as config:
            batches = _speech_batches(stage, corpus, backbone, seed, masking=config.masking)
            return MaskedContrast(_expect(WaveformTransformer, backbone, "Masked contrast"), config), batches
        case W2vBERTObjectiveConfig() as config:
            batches = _speech_batches(stage, corpus, backbone, seed, masking=config.masking)
            return W2vBERTObjective(_expect(W2vBERT2, backbone, "The objective of w2v-BERT"), config), batches
        case FutureContrastConfig() as config:
            batches = _speech_batches(stage, corpus, backbone, seed)
            contrast = FutureContrast(_expect(WaveformConvNet, backbone, "Future contrast"), config)
            contrast.start(next(batches(0)))  # a run that goes on has its weights from its state
            return contrast, batches
        case MaskedTokensConfig() as config:
            bert = _expect(DiscreteBERT, backbone, "Prediction of masked tokens")
            codes = make_codes(corpus.waveforms, bert.tokenizer, folder / "targets", device=device)
            return MaskedTokens(bert), TokenBatches(codes.store, bert, config, batching=stage.batching, seed=seed)
        case other:
            assert_never(other)


def _speech_batches(stage: Stage, corpus: Corpus, backbone: Backbone, seed: int, **more: Any) -> SpeechBatches:
    return SpeechBatches(
        corpus.waveforms,
        backbone,
        batching=stage.batching,
        mixing=stage.mixing,
        noises=corpus.noises,
        rooms=corpus.rooms,
        seed=seed,
        **more,
    )


def _expect(kind: type[B], backbone: Backbone, purpose: str) -> B:
    if isinstance(backbone, kind):
        return backbone
    raise ConfigurationError(
        f"{purpose} works on {WHAT_WORKS[kind]}; the run's model is a {type(backbone).__name__}. Choose another "
        "objective, or another model."
    )


def _check_same_shape(previous: nn.Module, backbone: nn.Module, stage: Stage) -> None:
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
