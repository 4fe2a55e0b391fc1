"""The families: one short file each over shared blocks."""

from sonant.errors import UnknownName
from sonant.models.backbone import Backbone, BackboneConfig, Encoded
from sonant.models.data2vec import Data2VecConfig, build_data2vec
from sonant.models.discrete_bert import DiscreteBERTConfig, build_discrete_bert
from sonant.models.hubert import HuBERTConfig, build_hubert
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import normalize_waveform
from sonant.models.sew import SEW, SEWConfig, build_sew
from sonant.models.unispeech import UniSpeechConfig, UniSpeechSATConfig, build_unispeech
from sonant.models.vq_wav2vec import VQWav2Vec, VQWav2VecConfig, build_vq_wav2vec
from sonant.models.w2v_bert2 import W2vBERT2, W2vBERT2Config, build_w2v_bert2
from sonant.models.wav2vec import Wav2Vec, Wav2VecConfig, build_wav2vec
from sonant.models.wav2vec2 import Wav2Vec2Config, build_wav2vec2
from sonant.models.wav2vec2_conformer import Wav2Vec2Conformer, Wav2Vec2ConformerConfig, build_wav2vec2_conformer
from sonant.models.waveform_convnet import WaveformConvNet, WaveformConvNetConfig
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig
from sonant.models.wavlm import WavLMConfig, build_wavlm

__all__ = [
    "SEW",
    "Backbone",
    "BackboneConfig",
    "Data2VecConfig",
    "DiscreteBERTConfig",
    "Encoded",
    "HuBERTConfig",
    "MaskableBackbone",
    "SEWConfig",
    "UniSpeechConfig",
    "UniSpeechSATConfig",
    "VQWav2Vec",
    "VQWav2VecConfig",
    "W2vBERT2",
    "W2vBERT2Config",
    "Wav2Vec",
    "Wav2Vec2Config",
    "Wav2Vec2Conformer",
    "Wav2Vec2ConformerConfig",
    "Wav2VecConfig",
    "WavLMConfig",
    "WaveformConvNet",
    "WaveformConvNetConfig",
    "WaveformTransformer",
    "WaveformTransformerConfig",
    "build",
    "normalize_waveform",
]


def build(config: BackboneConfig) -> Backbone:  # noqa: PLR0911  one line for each kind
    """The model of a configuration, with fresh weights."""
    match config:
        case WavLMConfig():
            return build_wavlm(config)
        case HuBERTConfig():
            return build_hubert(config)
        case Wav2Vec2Config():
            return build_wav2vec2(config)
        case Wav2Vec2ConformerConfig():
            return build_wav2vec2_conformer(config)
        case Data2VecConfig():
            return build_data2vec(config)
        case UniSpeechConfig() | UniSpeechSATConfig():
            return build_unispeech(config)
        case SEWConfig():
            return build_sew(config)
        case Wav2VecConfig():
            return build_wav2vec(config)
        case VQWav2VecConfig():
            return build_vq_wav2vec(config)
        case DiscreteBERTConfig():
            return build_discrete_bert(config)
        case W2vBERT2Config():
            return build_w2v_bert2(config)
    raise UnknownName(
        "family with the configuration", type(config).__name__, ["WavLMConfig", "HuBERTConfig", "Wav2Vec2Config"]
    )
