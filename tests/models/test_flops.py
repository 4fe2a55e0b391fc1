"""Operations counted from a configuration are those that torch counts while the model runs."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sonant.layers.packed import Packed
from sonant.models import (
    BackboneConfig,
    Data2VecConfig,
    DiscreteBERTConfig,
    FilterBankConfig,
    HuBERTConfig,
    UniSpeechConfig,
    UniSpeechSATConfig,
    VQWav2VecConfig,
    Wav2Vec2Config,
    Wav2VecConfig,
    WaveformTransformerConfig,
    WavLMConfig,
    build,
)
from sonant.models.families import FAMILIES, family_of
from sonant.models.flops import Flops
from tests.shapes import SMALL, TINY, conformer, sew, w2v_bert2

VQ = VQWav2VecConfig(conv_channels=(8,) * 7 + (16,), codebook_size=20, context_kernels=(2, 3))
BERT = DiscreteBERTConfig(tokenizer=VQ, vocabulary_size=50, dim=16, num_layers=2, num_heads=2, feed_forward_dim=32)
CONFIGS: dict[str, BackboneConfig] = {
    "wavlm": WavLMConfig(**TINY),
    "wavlm-pre-norm": WavLMConfig(**SMALL, pre_norm=True, extractor_norm="layer", conv_bias=True),
    "hubert": HuBERTConfig(**SMALL),
    "distilhubert": HuBERTConfig(**SMALL, projection_norm=False),
    "hubert-batch-norm": HuBERTConfig(**SMALL, position_norm="batch"),
    "data2vec": Data2VecConfig(**SMALL, position_depth=3),
    "wav2vec2": Wav2Vec2Config(**TINY, pre_norm=True),
    "wav2vec2-adapters": Wav2Vec2Config(**TINY, pre_norm=True, attention_adapter_dim=4),
    "wav2vec": Wav2VecConfig(conv_channels=(8, 16, 16, 16, 16), context_kernels=(2, 3, 4)),
    "vq-wav2vec": VQ,
    "vq-wav2vec-deep": replace(VQ, num_codebooks=4, projection_depth=3, projection_factor=3, shared_codebook=False),
    "vq-wav2vec-kmeans": replace(VQ, quantizer="kmeans", num_codebooks=4),
    "w2v-bert2": w2v_bert2(),
    "wav2vec2-conformer-relative": conformer("relative"),
    "wav2vec2-conformer-rotary": conformer("rotary"),
    "wav2vec2-conformer-None": conformer(None),
    "sew": sew(),
    "sew-without-projection": sew(conv_channels=(8,) * 12 + (16,), squeeze_factor=3),
    "unispeech": UniSpeechConfig(**TINY),
    "unispeech-sat": UniSpeechSATConfig(**TINY),
    "mfcc": FilterBankConfig(num_bins=23, num_coefficients=13),
    "discrete-bert": BERT,
    "discrete-bert-in-blocks": replace(BERT, max_positions=64),
}


def flops(config: BackboneConfig, num_samples: int) -> Flops:
    return family_of(config).shape.flops(config, num_samples)


def test_every_family_has_a_configuration_here():
    assert {family_of(config).key for config in CONFIGS.values()} == set(FAMILIES)


def counted(config: BackboneConfig, num_samples: int, *, backward: bool = False) -> int:
    torch.manual_seed(0)
    model = build(config).eval()
    speech = Packed.pack([torch.randn(num_samples)])
    counter = FlopCounterMode(display=False)
    # Plain attention: torch does not know the cost of the CPU's fused kernel.
    with sdpa_kernel(SDPBackend.MATH), counter, torch.set_grad_enabled(backward):
        last = model(speech, layers=["last"]).last
        if backward:
            last.square().sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("seconds", [1, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_forward_operations_are_those_that_torch_counts(name: str, seconds: int):
    config = CONFIGS[name]
    num_samples = seconds * config.sampling_rate
    assert flops(config, num_samples).total == counted(config, num_samples)


@pytest.mark.parametrize("name", ["wavlm", "wavlm-pre-norm", "hubert", "wav2vec2", "wav2vec"])
def test_a_backward_pass_costs_two_forward_ones(name: str):
    """All but the gradient of the waveform, which nobody asks for: the first convolution costs but two passes."""
    config = CONFIGS[name]
    if isinstance(config, WaveformTransformerConfig):  # torch counts the weights of a grouped convolution as if it had
        config = replace(config, position_groups=1)  # no groups
    steps = (config.sampling_rate - config.conv_kernels[0]) // config.conv_strides[0] + 1
    waveform_gradient = 2 * steps * config.conv_channels[0] * config.conv_kernels[0]
    forward = flops(config, config.sampling_rate).total
    assert counted(config, config.sampling_rate, backward=True) == 3 * forward - waveform_gradient


def test_a_clip_too_short_for_a_frame_costs_no_frame():
    for config in CONFIGS.values():
        assert flops(config, 10).context == 0


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if hasattr(config, "feed_forward_dim")])
def test_feed_forward_layers_are_what_a_wider_one_adds(name: str):
    config = CONFIGS[name]
    wider = replace(config, feed_forward_dim=2 * config.feed_forward_dim)
    added = flops(wider, 20_000).total - flops(config, 20_000).total
    assert flops(config, 20_000).feed_forward == added > 0
