"""UniSpeech (arXiv 2101.07597) and UniSpeech-SAT (2110.05752): wav2vec 2.0's network, trained otherwise.

The configurations differ from wav2vec 2.0's in name alone: what was loaded as one of them is saved as one.
"""

from dataclasses import dataclass

from sonant.models.waveform_transformer import WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class UniSpeechConfig(WaveformTransformerConfig):
    """Defaults: the size of wav2vec 2.0 Base; `UNISPEECH_LARGE` is published."""


@dataclass(frozen=True, kw_only=True)
class UniSpeechSATConfig(WaveformTransformerConfig):
    """Defaults: UniSpeech-SAT Base and Base+ (they differ in data alone)."""


UNISPEECH_LARGE = UniSpeechConfig(
    conv_bias=True,
    extractor_norm="layer",
    dim=1024,
    num_layers=24,
    num_heads=16,
    feed_forward_dim=4096,
    pre_norm=True,
    normalize=True,
)
SAT_LARGE = UniSpeechSATConfig(
    extractor_norm="layer", dim=1024, num_layers=24, num_heads=16, feed_forward_dim=4096, pre_norm=True, normalize=True
)
