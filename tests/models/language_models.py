"""A small language model with random weights."""

import torch

from sonant.models.transformer_lm import TransformerLM, TransformerLMConfig


def small_lm(vocabulary_size: int = 20, max_positions: int = 12) -> TransformerLM:
    """Return a model in evaluation mode whose probabilities differ much."""
    torch.manual_seed(0)
    config = TransformerLMConfig(
        vocabulary_size=vocabulary_size,
        max_positions=max_positions,
        dim=16,
        num_layers=2,
        num_heads=2,
        feed_forward_dim=24,
    )
    model = TransformerLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model
