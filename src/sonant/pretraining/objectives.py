"""Table of objectives: the models each can train, how its parts are made, and what it needs before it."""

from dataclasses import replace
from pathlib import Path

from sonant.data.settings import described, differences
from sonant.errors import ConfigurationError, UnknownName
from sonant.models import Backbone, BackboneConfig, MaskableBackbone, W2vBERT2, WaveformConvNet, WaveformTransformer
from sonant.models.discrete_bert import DiscreteBERT, DiscreteBERTConfig, on_tokenizer
from sonant.models.vq_wav2vec import VQWav2Vec
from sonant.pretraining import flops
from sonant.pretraining.batches import SpeechBatches
from sonant.pretraining.cpc import CPC, CPCConfig
from sonant.pretraining.file_targets import FileTargets, import_labels
from sonant.pretraining.kmeans import KMeans
from sonant.pretraining.masked_contrast import MaskedContrast, MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPrediction, MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokens, MaskedTokensConfig, TokenBatches, make_codes
from sonant.pretraining.objective_setup import Setup
from sonant.pretraining.self_distillation import SelfDistillation, SelfDistillationConfig
from sonant.pretraining.spectrum_regression import SpectrumRegression
from sonant.pretraining.stage_inputs import StageInputs
from sonant.pretraining.targets import LayerTargets, ResidualLayerTargets, make_targets
from sonant.pretraining.w2v_bert import W2vBERTObjective, W2vBERTObjectiveConfig

ObjectiveConfig = (
    MaskedPredictionConfig
    | SelfDistillationConfig
    | MaskedContrastConfig
    | CPCConfig
    | MaskedTokensConfig
    | W2vBERTObjectiveConfig
)


def setup_of(config: ObjectiveConfig) -> Setup:
    """Return the setup of an objective."""
    return SETUPS[type(config)]


def _labeled_speech(config: MaskedPredictionConfig, backbone: Backbone, inputs: StageInputs) -> SpeechBatches:
    folder = inputs.folder / "targets"
    match config.targets:
        case FileTargets() as targets:
            labels = import_labels(inputs.waveforms, targets, folder, backbone)
        case targets:
            labels = make_targets(
                inputs.waveforms, targets, folder, previous=inputs.previous, device=inputs.device, seed=inputs.seed
            )
    return inputs.speech_batches(backbone, masking=config.masking, labels=labels)


def _speech(
    config: MaskedContrastConfig | W2vBERTObjectiveConfig | CPCConfig | SelfDistillationConfig,
    backbone: Backbone,
    inputs: StageInputs,
) -> SpeechBatches:
    return inputs.speech_batches(backbone, masking=config.masking)


def _tokens(config: MaskedTokensConfig, backbone: DiscreteBERT, inputs: StageInputs) -> TokenBatches:
    codes = make_codes(inputs.waveforms, backbone.tokenizer, inputs.folder / "targets", device=inputs.device)
    return TokenBatches(
        codes.store,
        backbone,
        config,
        batching=inputs.batching,
        recordings=inputs.recordings,
        seed=inputs.seed,
        rank=inputs.rank,
        world=inputs.world,
    )


def _bert_on_codes(config: DiscreteBERTConfig, inputs: StageInputs) -> DiscreteBERT:
    """Make a BERT with fresh weights, and tokenizer and vocabulary from the previous model."""
    match inputs.previous:
        case VQWav2Vec() as tokenizer:
            codes = make_codes(inputs.waveforms, tokenizer, inputs.folder / "targets", device=inputs.device)
            return on_tokenizer(config, tokenizer, codes.words)
        case DiscreteBERT() as bert:
            return on_tokenizer(config, bert.tokenizer, bert.vocabulary.codes[bert.vocabulary.words])
    raise ConfigurationError(
        f"A discrete BERT learns from the codes of a vq-wav2vec, or goes on from a discrete BERT; the teacher is a "
        f"{type(inputs.previous).__name__}. Name a vq-wav2vec: teacher=MODEL."
    )


def _with_counted_labels(config: MaskedPredictionConfig) -> MaskedPredictionConfig:
    match config.targets:
        case FileTargets() as labels:
            return replace(config, targets=labels.counted())
        case LayerTargets(codebook=codebook) as clusters if codebook:
            centroids = KMeans.load(Path(codebook).expanduser()).centroids
            return replace(config, targets=replace(clusters, num_clusters=len(centroids)))
    return config


def _need_of_labels(config: MaskedPredictionConfig) -> str:
    of_layer = isinstance(config.targets, LayerTargets | ResidualLayerTargets)
    return "the model whose layers give the targets" if of_layer else ""


def _check_labels(config: MaskedPredictionConfig, name: str, previous: BackboneConfig, model: BackboneConfig) -> None:
    """Raise if targets from a layer of the previous model do not fit the frames of the model to train."""
    targets = config.targets
    if not isinstance(targets, LayerTargets | ResidualLayerTargets):
        return
    if not 0 <= targets.layer <= previous.num_layers:
        raise UnknownName(
            f"layer for the targets of the stage {name!r} in the model before it:",
            targets.layer,
            range(previous.num_layers + 1),
        )
    names = ("sampling_rate", "stride", "receptive_field")
    sides = [{each: getattr(side, each) for each in names} for side in (previous, model)]
    wider = model.receptive_field - previous.receptive_field  # frames begin with the same samples
    served = ("receptive_field",) if 0 <= wider < model.stride else ()
    if differing := differences(*sides, may_differ=served):
        raise ConfigurationError(
            f"The stage {name!r} takes its targets from the model before it, whose frames are not those of this "
            f"run's model ({described(differing)}). Both must make as many frames of the same samples; those of this "
            "run's model may be wider, by less than a stride. Choose another teacher."
        )


WAVEFORM_TRANSFORMERS = "wav2vec 2.0, HuBERT and WavLM"

SETUPS: dict[type[ObjectiveConfig], Setup] = {
    MaskedPredictionConfig: Setup(
        title="Masked prediction",
        trains=MaskableBackbone,
        families="wav2vec 2.0, HuBERT, WavLM and w2v-BERT 2.0",
        build=MaskedPrediction,
        batches=_labeled_speech,
        flops=flops.masked_prediction,
        needs=_need_of_labels,
        check=_check_labels,
        layers=lambda config: config.inner_layers,
        complete=_with_counted_labels,
    ),
    SelfDistillationConfig: Setup(
        title="Self-distillation",
        trains=MaskableBackbone,
        families="wav2vec 2.0, HuBERT, WavLM and w2v-BERT 2.0",
        build=SelfDistillation,
        batches=_speech,
        flops=flops.self_distillation,
        layers=lambda config: [config.top_layers],
        has_teacher=True,
    ),
    MaskedContrastConfig: Setup(
        title="Masked contrast",
        trains=WaveformTransformer,
        families=WAVEFORM_TRANSFORMERS,
        build=MaskedContrast,
        batches=_speech,
        flops=flops.masked_contrast,
    ),
    W2vBERTObjectiveConfig: Setup(
        title="The objective of w2v-BERT",
        trains=W2vBERT2,
        families="w2v-BERT 2.0",
        build=W2vBERTObjective,
        batches=_speech,
        flops=flops.w2v_bert,
        layers=lambda config: [config.contrast_layer],
    ),
    CPCConfig: Setup(
        title="CPC",
        trains=WaveformConvNet,
        families="wav2vec and vq-wav2vec",
        build=CPC,
        batches=_speech,
        flops=flops.cpc,
    ),
    MaskedTokensConfig: Setup(
        title="Prediction of masked tokens",
        trains=DiscreteBERT,
        families="a discrete BERT",
        build=lambda backbone, _: MaskedTokens(backbone),
        batches=_tokens,
        flops=flops.masked_tokens,
        needs=lambda _: "a vq-wav2vec that makes the tokens",
        fresh=_bert_on_codes,
        runs_extractor=False,  # codes are computed once, before training
    ),
}
# Used for the `extractor_steps` of a stage.
EXTRACTOR_START = Setup(
    title="A start of the extractor",
    trains=WaveformTransformer,
    families=WAVEFORM_TRANSFORMERS,
    build=lambda backbone, _: SpectrumRegression(backbone),
    batches=lambda _, backbone, inputs: inputs.speech_batches(backbone),
    flops=lambda *_: 0,
)
