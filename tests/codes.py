"""Small models over discretized speech, with random weights that make their outputs differ."""

import itertools
from typing import Any

import torch

from sonant.models.discrete_bert import DiscreteBERT, DiscreteBERTConfig, on_tokenizer
from sonant.models.vq_wav2vec import VQWav2Vec, VQWav2VecConfig

VQ: dict[str, Any] = {
    "conv_channels": (12,) * 3,
    "conv_kernels": (10, 8, 8),
    "conv_strides": (5, 4, 8),
    "context_kernels": (2, 3),
    "num_codebooks": 2,
    "codebook_size": 5,
}
WORDS = torch.tensor(list(itertools.product(range(5), repeat=2)))[:22]  # of the 25 groups of codes that there can be


def vq_wav2vec(**changes: Any) -> VQWav2Vec:
    torch.manual_seed(0)
    return VQWav2Vec(VQWav2VecConfig(**VQ | changes)).eval()


def fresh_bert(**changes: Any) -> DiscreteBERT:
    """With the weights that training begins with."""
    sizes = {"max_positions": 40, "dim": 16, "num_layers": 3, "num_heads": 2, "feed_forward_dim": 24}
    tokenizer = vq_wav2vec()
    torch.manual_seed(0)
    return on_tokenizer(DiscreteBERTConfig(**sizes | changes), tokenizer, WORDS).eval()


def discrete_bert(**changes: Any) -> DiscreteBERT:
    """With weights that let every part show."""
    model = fresh_bert(**changes)
    for name, parameter in model.named_parameters():
        if not name.startswith("tokenizer."):
            torch.nn.init.normal_(parameter, std=0.3)
    return model
