"""wav2vec 2.0 (arXiv 2006.11477), XLSR-53 (2006.13979), XLS-R (2111.09296) and omniASR (2511.09690)."""

from dataclasses import dataclass, replace

from sonant.models import waveform_transformer
from sonant.models.waveform_transformer import WaveformTransformerConfig


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2Config(WaveformTransformerConfig):
    """Defaults: wav2vec 2.0 Base."""


LARGE_LS960 = Wav2Vec2Config(dim=1024, num_layers=24, num_heads=16, feed_forward_dim=4096, dropout=0.0, layerdrop=0.2)
LARGE_LV60 = Wav2Vec2Config(
    conv_bias=True,
    extractor_norm="layer",
    dim=1024,
    num_layers=24,
    num_heads=16,
    feed_forward_dim=4096,
    pre_norm=True,
    dropout=0.0,
    layerdrop=0.0,
    normalize=True,
)
XLS_R_300M = replace(LARGE_LV60, attention_dropout=0.0, input_dropout=0.0)
XLS_R_1B = replace(XLS_R_300M, dim=1280, num_layers=48, feed_forward_dim=5120, input_dropout=0.1)
XLS_R_2B = replace(XLS_R_1B, dim=1920, feed_forward_dim=7680)
OMNIASR_300M = replace(LARGE_LV60, input_dropout=0.0)
OMNIASR_3B = replace(XLS_R_1B, dim=2048, num_layers=60, feed_forward_dim=8192)
OMNIASR_7B = replace(OMNIASR_3B, num_layers=128)
TINY = Wav2Vec2Config(**waveform_transformer.TINY)
