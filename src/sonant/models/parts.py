"""The parts of a model in words, by name, from its configuration."""

from collections.abc import Sequence

from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.filter_bank import FilterBankConfig
from sonant.models.sew import SEWConfig
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.models.w2v_bert2 import W2vBERT2Config
from sonant.models.wav2vec2_conformer import Wav2Vec2ConformerConfig
from sonant.models.waveform_convnet import WaveformConvNetConfig
from sonant.models.waveform_transformer import WaveformTransformerConfig

Parts = dict[str, str]


def waveform_transformer_parts(config: WaveformTransformerConfig) -> Parts:
    """The parts of WavLM, HuBERT, wav2vec 2.0 and the others of that shape."""
    return {
        "extractor": _extractor(config),
        "Transformer": f"{_blocks(config)}, {'pre' if config.pre_norm else 'post'}-norm",
    }


def sew_parts(config: SEWConfig) -> Parts:
    """The parts of a SEW."""
    squeezed = f"{_blocks(config)}, post-norm, {config.squeeze_factor} frames squeezed into one"
    return {"extractor": _extractor(config), "Transformer": squeezed}


def wav2vec2_conformer_parts(config: Wav2Vec2ConformerConfig) -> Parts:
    """The parts of a wav2vec 2.0 Conformer."""
    positions = f", {config.positions} positions" if config.positions else ""
    blocks = f"{_blocks(config)}, convolutions of {config.conv_kernel} frames{positions}"
    return {"extractor": _extractor(config), "conformer": blocks}


def w2v_bert2_parts(config: W2vBERT2Config) -> Parts:
    """The parts of a w2v-BERT 2.0."""
    return {
        "features": f"{config.num_bins} mel energies, {config.stack} frames of 10 ms stacked",
        "conformer": f"{_blocks(config)}, convolutions of {config.conv_kernel} frames",
    }


def wav2vec_parts(config: WaveformConvNetConfig) -> Parts:
    """The parts of a wav2vec, which a vq-wav2vec has too."""
    kernels = _range(config.context_kernels)
    return {
        "extractor": f"{_convolutions(config.conv_channels)}, norm over the clip",
        "context": f"{config.num_layers} causal convolutions of {config.dim}, {kernels} frames wide",
    }


def vq_wav2vec_parts(config: VQWav2VecConfig) -> Parts:
    """The parts of a vq-wav2vec."""
    parts = wav2vec_parts(config)
    quantizer = f"{config.quantizer}, {config.num_codebooks} codebooks of {config.codebook_size} codes"
    return {"extractor": parts["extractor"], "quantizer": quantizer, "context": parts["context"]}


def discrete_bert_parts(config: DiscreteBERTConfig) -> Parts:
    """The parts of a BERT on discretized speech."""
    return {
        "tokens": f"{config.vocabulary_size:,}, from a vq-wav2vec with {config.tokenizer.quantizer} codes",
        "Transformer": f"{_blocks(config)}, {config.max_positions:,} positions",
    }


def filter_bank_parts(config: FilterBankConfig) -> Parts:
    """The parts of mel features."""
    what = f"{config.num_coefficients} MFCC of" if config.num_coefficients else "log energies of"
    return {
        "features": f"{what} {config.num_bins} mel bins{', normalized by clip' if config.by_clip else ''}",
        "deltas": "deltas and delta-deltas over 5 frames" if config.with_deltas else "none",
    }


def _extractor(config: WaveformTransformerConfig | Wav2Vec2ConformerConfig | SEWConfig) -> str:
    return f"{_convolutions(config.conv_channels)}, {config.extractor_norm} norm"


def _convolutions(channels: Sequence[int]) -> str:
    return f"{len(channels)} convolutions, {_range(channels)} channels"


def _range(numbers: Sequence[int]) -> str:
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def _blocks(
    config: WaveformTransformerConfig | DiscreteBERTConfig | W2vBERT2Config | Wav2Vec2ConformerConfig | SEWConfig,
) -> str:
    heads = f"{config.num_layers} blocks of {config.dim}, {config.num_heads} heads"
    return f"{heads}, feed-forward {config.feed_forward_dim}"
