"""Every objective with a tiny model that it trains, and a batch for it."""

import torch

from sonant.layers.packed import Packed
from sonant.loss import Objective
from sonant.models import (
    Backbone,
    BackboneConfig,
    DiscreteBERTConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from sonant.pretraining import MFCCTargets, ResidualLayerTargets, SelfDistillationConfig, UtteranceContrastConfig
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.cpc import CPCConfig
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


def objective_of(case: str) -> tuple[Backbone, Objective]:
    """Model and objective of a case, with the same weights each time."""
    torch.manual_seed(0)
    settings, config = CASES[case]
    backbone = build(config)
    assert isinstance(backbone, Backbone)
    return backbone, setup_of(settings).build(backbone, settings)


def batch_of(case: str, backbone: Backbone, *, clips: int = 1) -> SpeechBatch | TokenBatch:
    """Clips of SAMPLES samples, of which every third frame is masked."""
    settings, _ = CASES[case]
    frames = backbone.num_frames(SAMPLES)
    mask = (torch.arange(frames) % 3 == 0).repeat(clips)
    if isinstance(settings, MaskedTokensConfig):
        tokens = Packed.pack([torch.randint(4, 50, (frames,)) for _ in range(clips)])
        return TokenBatch(tokens, torch.randint(4, 50, (len(mask),)), mask, backbone.stride)
    residual = isinstance(getattr(settings, "targets", None), ResidualLayerTargets)
    targets = torch.randint(0, 30, (len(mask), 2) if residual else (len(mask),))
    return SpeechBatch(Packed.pack([torch.randn(SAMPLES) for _ in range(clips)]), mask, targets)
