"""Model families, one file each, assembled from shared layers."""

from sonant.models.backbone import Backbone, BackboneConfig, Encoded
from sonant.models.data2vec import Data2VecConfig
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.families import build
from sonant.models.filter_bank import FilterBankConfig
from sonant.models.hubert import HuBERTConfig
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import normalize_waveform
from sonant.models.sew import SEW, SEWConfig
from sonant.models.unispeech import UniSpeechConfig, UniSpeechSATConfig
from sonant.models.vq_wav2vec import VQWav2Vec, VQWav2VecConfig
from sonant.models.w2v_bert2 import W2vBERT2, W2vBERT2Config
from sonant.models.wav2vec import Wav2Vec, Wav2VecConfig
from sonant.models.wav2vec2 import Wav2Vec2Config
from sonant.models.wav2vec2_conformer import Wav2Vec2Conformer, Wav2Vec2ConformerConfig
from sonant.models.waveform_convnet import WaveformConvNet, WaveformConvNetConfig
from sonant.models.waveform_transformer import WaveformTransformer, WaveformTransformerConfig
from sonant.models.wavlm import WavLMConfig

__all__ = [
    "SEW",
    "Backbone",
    "BackboneConfig",
    "Data2VecConfig",
    "DiscreteBERTConfig",
    "Encoded",
    "FilterBankConfig",
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
