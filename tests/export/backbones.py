"""A tiny backbone of every family and shape, with random weights that leave no part without effect."""

from collections.abc import Callable
from typing import Any

import torch

from sonant.models import (
    Backbone,
    Data2VecConfig,
    HuBERTConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from tests import codes
from tests.shapes import TINY

# Few convolutions: the formula of the number of frames grows with each, and with it the time that tracing takes.
FRONT: dict[str, Any] = {"conv_kernels": (10, 8, 8), "conv_strides": (5, 8, 8)}
BASE: dict[str, Any] = {**TINY, **FRONT, "conv_channels": (8,) * 3}
CONVOLUTIONS: dict[str, Any] = {**FRONT, "conv_channels": (16,) * 3, "context_kernels": (2, 3)}
QUANTIZED: dict[str, Any] = {**CONVOLUTIONS, "codebook_size": 20}
LARGE: dict[str, Any] = {**TINY, "extractor_norm": "layer", "pre_norm": True, "conv_bias": True, "normalize": True}

# The position bias of the WavLMs reaches less far than a second, the keys of w2v-BERT and the blocks of BERT as well.
BACKBONES: dict[str, Callable[[], Backbone]] = {
    "WavLM": lambda: build(WavLMConfig(**BASE, num_buckets=16, max_distance=20)),
    "WavLM-large": lambda: build(WavLMConfig(**LARGE, num_buckets=16, max_distance=20)),
    "HuBERT": lambda: build(HuBERTConfig(**BASE)),
    "HuBERT-odd-kernel": lambda: build(HuBERTConfig(**{**LARGE, "position_kernel": 7})),
    "HuBERT-batch-norm": lambda: build(HuBERTConfig(**BASE, position_norm="batch")),
    "DistilHuBERT": lambda: build(HuBERTConfig(**BASE, projection_norm=False)),
    "data2vec": lambda: build(Data2VecConfig(**BASE, position_depth=2)),
    "wav2vec2": lambda: build(Wav2Vec2Config(**{**BASE, "normalize": True})),
    "wav2vec2-adapters": lambda: build(Wav2Vec2Config(**LARGE, attention_adapter_dim=4)),
    "w2v-BERT": lambda: build(
        W2vBERT2Config(dim=24, num_layers=2, num_heads=3, feed_forward_dim=40, conv_kernel=5, left_reach=9)
    ),
    "wav2vec": lambda: build(Wav2VecConfig(**CONVOLUTIONS)),
    "wav2vec-large": lambda: build(
        Wav2VecConfig(**CONVOLUTIONS, skip_connections=True, zero_padding=True, activation="gelu")
    ),
    "vq-wav2vec-gumbel": lambda: build(VQWav2VecConfig(**QUANTIZED)),
    "vq-wav2vec-kmeans": lambda: build(VQWav2VecConfig(**QUANTIZED, quantizer="kmeans", shared_codebook=False)),
    "BERT": codes.discrete_bert,
}


def backbone(name: str) -> Backbone:
    """In evaluation mode."""
    torch.manual_seed(0)
    model = BACKBONES[name]()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias"):
                parameter.normal_(0, 0.2)
            elif "norm." in key:
                parameter.uniform_(0.5, 1.5)
            elif "relative" in key:
                parameter.normal_(0, 1.5)
            elif key.endswith("scale"):
                parameter.uniform_(0.5, 2)
        for key, buffer in model.named_buffers():
            if "running" in key:
                buffer.uniform_(0.5, 2)
    return model.eval()
