"""The parts of one stage of a pretraining run: a model to start from, an objective around it, and batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, assert_never

from sonant.audio.augment import Waveform
from sonant.data import WaveformStore
from sonant.errors import ConfigurationError
from sonant.models import (
    Backbone,
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
    CPC,
    CPCConfig,
    MaskedContrast,
    MaskedContrastConfig,
    MaskedPrediction,
    MaskedPredictionConfig,
    MaskedTokens,
    MaskedTokensConfig,
    SpeechBatches,
    TokenBatches,
    W2vBERTObjective,
    W2vBERTObjectiveConfig,
    make_codes,
    make_targets,
)
from sonant.recipes.runs import ObjectiveConfig, PretrainingRun, Stage

B = TypeVar("B", bound=Backbone)

# What the models that an objective can train are called.
WHAT_WORKS: dict[type[Backbone], str] = {
    MaskableBackbone: "wav2vec 2.0, HuBERT, WavLM and w2v-BERT 2.0",
    WaveformTransformer: "wav2vec 2.0, HuBERT and WavLM",
    W2vBERT2: "w2v-BERT 2.0",
    WaveformConvNet: "wav2vec and vq-wav2vec",
    DiscreteBERT: "a discrete BERT",
}
# The models that an objective can train, and what it is called in messages.
TRAINS: dict[type[ObjectiveConfig], tuple[type[Backbone], str]] = {
    MaskedPredictionConfig: (MaskableBackbone, "Masked prediction"),
    MaskedContrastConfig: (WaveformTransformer, "Masked contrast"),
    W2vBERTObjectiveConfig: (W2vBERT2, "The objective of w2v-BERT"),
    CPCConfig: (WaveformConvNet, "CPC"),
    MaskedTokensConfig: (DiscreteBERT, "Prediction of masked tokens"),
}


@dataclass(frozen=True)
class Corpus:
    """The decoded recordings that a run learns from."""

    waveforms: WaveformStore
    noises: Sequence[Waveform]
    impulse_responses: Sequence[Waveform]


def fresh_backbone(run: PretrainingRun, folder: Path, corpus: Corpus, previous: Backbone | None) -> Backbone:
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


def set_up(
    stage: Stage,
    folder: Path,
    corpus: Corpus,
    backbone: Backbone,
    previous: Backbone | None,
    *,
    device: str,
    seed: int,
) -> tuple[Any, Any]:
    """The objective around the backbone, and the batches that it learns from."""
    match stage.objective:
        case MaskedPredictionConfig() as config:
            model = expect(MaskableBackbone, backbone, "Masked prediction")
            labels = make_targets(
                corpus.waveforms, config.targets, folder / "targets", previous=previous, device=device, seed=seed
            )
            batches = speech_batches(stage, corpus, backbone, seed, masking=config.masking, labels=labels)
            return MaskedPrediction(model, config), batches
        case MaskedContrastConfig() as config:
            batches = speech_batches(stage, corpus, backbone, seed, masking=config.masking)
            return MaskedContrast(expect(WaveformTransformer, backbone, "Masked contrast"), config), batches
        case W2vBERTObjectiveConfig() as config:
            batches = speech_batches(stage, corpus, backbone, seed, masking=config.masking)
            return W2vBERTObjective(expect(W2vBERT2, backbone, "The objective of w2v-BERT"), config), batches
        case CPCConfig() as config:
            batches = speech_batches(stage, corpus, backbone, seed)
            contrast = CPC(expect(WaveformConvNet, backbone, "CPC"), config)
            contrast.start(batches[0])  # a run that goes on has its weights from its state
            return contrast, batches
        case MaskedTokensConfig() as config:
            bert = expect(DiscreteBERT, backbone, "Prediction of masked tokens")
            codes = make_codes(corpus.waveforms, bert.tokenizer, folder / "targets", device=device)
            return MaskedTokens(bert), TokenBatches(codes.store, bert, config, batching=stage.batching, seed=seed)
        case other:
            assert_never(other)


def speech_batches(stage: Stage, corpus: Corpus, backbone: Backbone, seed: int, **more: Any) -> SpeechBatches:
    """Batches of the corpus as a stage wants them; `more` goes to `SpeechBatches`."""
    return SpeechBatches(
        corpus.waveforms,
        backbone,
        batching=stage.batching,
        mixing=stage.mixing,
        noises=corpus.noises,
        impulse_responses=corpus.impulse_responses,
        seed=seed,
        **more,
    )


def expect(kind: type[B], backbone: Backbone, purpose: str) -> B:
    """The backbone, if it is of a kind; ConfigurationError that says what works if not."""
    if isinstance(backbone, kind):
        return backbone
    raise ConfigurationError(
        f"{purpose} works on {WHAT_WORKS[kind]}; the run's model is a {type(backbone).__name__}. Choose another "
        "objective, or another model."
    )
