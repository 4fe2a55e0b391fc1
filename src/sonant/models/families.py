"""The table of families: one row each, with all that the package needs besides configuration and code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sonant.errors import UnknownName
from sonant.models import flops, parts
from sonant.models.backbone import Backbone, BackboneConfig
from sonant.models.data2vec import Data2VecConfig, build_data2vec
from sonant.models.discrete_bert import DiscreteBERT, DiscreteBERTConfig
from sonant.models.filter_bank import FilterBankConfig, FilterBankModel
from sonant.models.flops import Flops
from sonant.models.hubert import HuBERTConfig, build_hubert
from sonant.models.parts import Parts
from sonant.models.sew import SEW, SEWConfig
from sonant.models.unispeech import UniSpeechConfig, UniSpeechSATConfig
from sonant.models.vq_wav2vec import VQWav2Vec, VQWav2VecConfig
from sonant.models.w2v_bert2 import W2vBERT2, W2vBERT2Config
from sonant.models.wav2vec import Wav2Vec, Wav2VecConfig
from sonant.models.wav2vec2 import Wav2Vec2Config
from sonant.models.wav2vec2_conformer import Wav2Vec2Conformer, Wav2Vec2ConformerConfig
from sonant.models.waveform_transformer import WaveformTransformer
from sonant.models.wavlm import WavLMConfig, build_wavlm

Task = Literal["speaker", "content", "emotion", "semantic"]
Pool = Literal["mean", "max", "mean+std"]
PresetRules = Mapping[Task, tuple[float, Pool | None, str]]  # relative depth, pooling, source


@dataclass(frozen=True)
class Preset:
    """The layer and pooling for a task.

    Attributes:
        layer: number of the hidden state.
        pool: pooling over frames; None: no pooling.
        why: source of the choice.
    """

    layer: int
    pool: Pool | None
    why: str


class Shape(NamedTuple):
    """The functions that describe the models of one shape, from their configuration.

    Attributes:
        flops: the operations of a forward pass over a clip of so many samples. Attention grows with the square of the
            clip, so a minute costs more than sixty clips of a second.
        parts: the parts of a model in words, by name.
    """

    flops: Callable[[Any, int], Flops]
    parts: Callable[[Any], Parts]


@dataclass(frozen=True)
class Family:
    """The row of one family.

    Attributes:
        key: its name in files of ours and in overrides.
        name: its name as users type it in commands and addresses; that of vq-wav2vec covers the BERT on its codes.
        title: its name in prose.
        config: the class of its configurations.
        build: makes a model of a configuration, with fresh weights.
        shape: what describes its models.
        presets: layer and pooling for each task.
        peer: class of transformers that loads its models; None if there is none.
        is_learned: False for features without weights, of which there are no models in the catalog.
    """

    key: str
    name: str
    title: str
    config: type[BackboneConfig]
    build: Callable[[Any], Backbone]
    shape: Shape
    presets: PresetRules
    peer: str | None = None
    is_learned: bool = True


# None of these layers was chosen by own measurements yet.
_PREDICTING: PresetRules = {
    "speaker": (
        1 / 4,
        "mean",
        "voices show in the lower layers (WavLM paper); kNN-VC compares layer 6 of WavLM Large's 24",
    ),
    "content": (3 / 4, None, "where HuBERT's authors took the targets of their large models: layer 9 of 12"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice: words and meaning stay high up to the top layers (Pasad et al. 2023)"),
}
_CONTRASTING: PresetRules = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (2 / 3, None, "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (2 / 3, "mean", "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
}
_CONTEXT: PresetRules = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (1, None, "what the authors feed to recognizers: the context network's last layer, or BERT's"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (1, "mean", "our choice, as for content"),
}
_CHOSEN: PresetRules = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (3 / 4, None, "our choice, as for the other families that predict labels"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice, as for the other families that predict labels"),
}
_TAUGHT: PresetRules = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (5 / 6, None, "our choice: it was taught phonemes too, which keeps what is said near the top"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice, as for content"),
}

_TRANSFORMER = Shape(flops.waveform_transformer_flops, parts.waveform_transformer_parts)
_WAVEFORM_CONFORMER = Shape(flops.wav2vec2_conformer_flops, parts.wav2vec2_conformer_parts)
_MEL_CONFORMER = Shape(flops.w2v_bert2_flops, parts.w2v_bert2_parts)
_SEW = Shape(flops.sew_flops, parts.sew_parts)
_CONVNET = Shape(flops.waveform_convnet_flops, parts.wav2vec_parts)
_VQ = Shape(flops.waveform_convnet_flops, parts.vq_wav2vec_parts)
_BERT = Shape(flops.discrete_bert_flops, parts.discrete_bert_parts)
_FILTER_BANK = Shape(flops.filter_bank_flops, parts.filter_bank_parts)

_ROWS = (
    Family("wavlm", "wavlm", "WavLM", WavLMConfig, build_wavlm, _TRANSFORMER, _PREDICTING, "WavLMModel"),
    Family("hubert", "hubert", "HuBERT", HuBERTConfig, build_hubert, _TRANSFORMER, _PREDICTING, "HubertModel"),
    Family(
        "wav2vec2",
        "wav2vec2",
        "wav2vec 2.0",
        Wav2Vec2Config,
        WaveformTransformer,
        _TRANSFORMER,
        _CONTRASTING,
        "Wav2Vec2Model",
    ),
    Family(
        "wav2vec2_conformer",
        "wav2vec2-conformer",
        "wav2vec 2.0 Conformer",
        Wav2Vec2ConformerConfig,
        Wav2Vec2Conformer,
        _WAVEFORM_CONFORMER,
        _CONTRASTING,
        "Wav2Vec2ConformerModel",
    ),
    Family(
        "data2vec", "data2vec", "data2vec", Data2VecConfig, build_data2vec, _TRANSFORMER, _CHOSEN, "Data2VecAudioModel"
    ),
    Family(
        "unispeech",
        "unispeech",
        "UniSpeech",
        UniSpeechConfig,
        WaveformTransformer,
        _TRANSFORMER,
        _TAUGHT,
        "UniSpeechModel",
    ),
    Family(
        "unispeech_sat",
        "unispeech-sat",
        "UniSpeech-SAT",
        UniSpeechSATConfig,
        WaveformTransformer,
        _TRANSFORMER,
        _PREDICTING,
        "UniSpeechSatModel",
    ),
    Family("sew", "sew", "SEW", SEWConfig, SEW, _SEW, _CONTRASTING, "SEWModel"),
    Family(
        "w2v_bert2", "w2v-bert", "w2v-BERT 2.0", W2vBERT2Config, W2vBERT2, _MEL_CONFORMER, _CHOSEN, "Wav2Vec2BertModel"
    ),
    Family("vq_wav2vec", "vq-wav2vec", "vq-wav2vec", VQWav2VecConfig, VQWav2Vec, _VQ, _CONTEXT),
    Family("discrete_bert", "vq-wav2vec", "vq-wav2vec", DiscreteBERTConfig, DiscreteBERT, _BERT, _CONTEXT),
    Family("wav2vec", "wav2vec", "wav2vec", Wav2VecConfig, Wav2Vec, _CONVNET, _CONTEXT),
    Family(
        "filter_bank",
        "filter-bank",
        "mel features",
        FilterBankConfig,
        FilterBankModel,
        _FILTER_BANK,
        _CHOSEN,
        is_learned=False,
    ),
)
FAMILIES: Mapping[str, Family] = {family.key: family for family in _ROWS}
# By the name in commands.
TITLES: Mapping[str, str] = {family.name: family.title for family in _ROWS if family.is_learned}


def family_of(config: BackboneConfig) -> Family:
    """Return the family of a configuration. Raises UnknownName."""
    for family in _ROWS:
        if isinstance(config, family.config):
            return family
    raise UnknownName("family with the configuration", type(config).__name__, [row.config.__name__ for row in _ROWS])


def build(config: BackboneConfig) -> Backbone:
    """Build the model of a configuration, with initial weights."""
    return family_of(config).build(config)


def presets(config: BackboneConfig) -> dict[Task, Preset]:
    """Return layer and pooling for each task, for any model of a known family."""
    return {
        task: Preset(min(config.num_layers, max(1, round(share * config.num_layers))), pool, why)
        for task, (share, pool, why) in family_of(config).presets.items()
    }


def presets_of(model: Backbone) -> dict[Task, Preset]:
    """Return layer and pooling for each task: those measured of this model, for other tasks those of its family."""
    measured = {task: each for task, each in model.measured_presets.items() if each.layer <= model.num_layers}
    return {**presets(model.config), **measured}
