"""Operations that objectives add, counted from their settings, are those that torch counts during a loss."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.models import (
    BackboneConfig,
    DiscreteBERTConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from sonant.models.families import family_of
from sonant.pretraining import MFCCTargets, ResidualLayerTargets, SelfDistillationConfig, UtteranceContrastConfig
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.cpc import CPCConfig
from sonant.pretraining.flops import masked_share
from sonant.pretraining.masked_contrast import MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokensConfig, TokenBatch
from sonant.pretraining.objectives import ObjectiveConfig, setup_of
from sonant.pretraining.w2v_bert import W2vBERTObjectiveConfig
from tests.shapes import TINY

CONVNET = {"conv_channels": (8, 16, 16, 16, 16), "context_kernels": (2, 3)}
VQ = VQWav2VecConfig(conv_channels=(8,) * 7 + (16,), codebook_size=20, context_kernels=(2, 3))
BERT = DiscreteBERTConfig(tokenizer=VQ, vocabulary_size=50, dim=16, num_layers=2, num_heads=2, feed_forward_dim=32)
CONFORMER = W2vBERT2Config(dim=16, num_layers=2, num_heads=2, feed_forward_dim=32, conv_kernel=5, layerdrop=0.0)
CASES: dict[str, tuple[ObjectiveConfig, BackboneConfig]] = {
    "masked prediction": (MaskedPredictionConfig(targets=MFCCTargets(num_clusters=30)), WavLMConfig(**TINY)),
    "masked prediction by a conformer": (MaskedPredictionConfig(projection_dim=24), CONFORMER),
    "masked prediction with all options": (
        MaskedPredictionConfig(
            targets=MFCCTargets(num_clusters=30),
            score_unmasked=False,
            supervised_layers=(1,),
            utterance_contrast=UtteranceContrastConfig(weight=1.0, layer=1, projection_dim=24),
        ),
        WavLMConfig(**TINY),
    ),
    "masked prediction of codebooks": (
        MaskedPredictionConfig(targets=ResidualLayerTargets(num_clusters=30, num_codebooks=2)),
        WavLMConfig(**TINY),
    ),
    "self-distillation": (SelfDistillationConfig(top_layers=2, codebook_size=30), WavLMConfig(**TINY)),
    "masked contrast": (MaskedContrastConfig(codebook_size=30, projection_dim=24), Wav2Vec2Config(**TINY)),
    "CPC": (CPCConfig(steps=5, num_negatives=3), Wav2VecConfig(**CONVNET)),
    "masked tokens": (MaskedTokensConfig(), BERT),
    "w2v-BERT": (
        W2vBERTObjectiveConfig(contrast_layer=1, codebook_size=30, label_codebook_size=40, num_label_codebooks=2),
        CONFORMER,
    ),
    "w2v-BERT without labels": (W2vBERTObjectiveConfig(contrast_layer=1, label_weight=0.0), CONFORMER),
}
SAMPLES = 32_000


@pytest.mark.parametrize("case", CASES)
def test_operations_of_a_loss_are_those_that_torch_counts(case: str):
    torch.manual_seed(0)
    settings, config = CASES[case]
    backbone = build(config)
    objective = setup_of(settings).build(backbone, settings).eval()
    frames = backbone.num_frames(SAMPLES)
    mask = torch.arange(frames) % 3 == 0
    flops = family_of(config).shape.flops(config, SAMPLES)
    if isinstance(settings, MaskedTokensConfig):
        tokens = Packed.pack([torch.randint(4, 50, (frames,))])
        batch = TokenBatch(tokens, torch.randint(4, 50, (frames,)), mask, backbone.stride)
        expected = flops.context
    else:
        residual = isinstance(getattr(settings, "targets", None), ResidualLayerTargets)
        targets = torch.randint(0, 30, (frames, 2) if residual else (frames,))
        batch = SpeechBatch(Packed.pack([torch.randn(SAMPLES)]), mask, targets)
        expected = flops.total + flops.context * setup_of(settings).has_teacher
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter, torch.no_grad():
        objective(batch)
    added = setup_of(settings).flops(settings, config, frames, int(mask.sum()))
    drawn = 0  # out of training the codes are looked up, not mixed by a product
    if isinstance(settings, MaskedContrastConfig | W2vBERTObjectiveConfig):
        drawn = 2 * int(mask.sum()) * settings.codebook_size * settings.quantized_dim
    assert counter.get_total_flops() == expected + added - drawn


@pytest.mark.parametrize("fraction", [0.4, 0.65, 0.8])
def test_the_share_of_masked_frames_is_what_is_drawn(fraction: float):
    masking = SpanMasking(fraction=fraction, length=10)
    drawn = np.mean([masking.draw(700, np.random.default_rng(seed)).mean() for seed in range(60)])
    assert masked_share(masking) == pytest.approx(drawn, abs=0.015)
    assert masked_share(None) == 0
