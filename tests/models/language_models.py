"""A small language model with random weights, and a tokenizer of bytes."""

from pathlib import Path

import torch

from sonant.checkpoints.transformer_lm import TextModel, save_transformer_lm
from sonant.data.text_tokenizers import ByteLevelTokenizer
from sonant.models.transformer_lm import TransformerLM, TransformerLMConfig

TEXTS = ["don't let the cat out", "the cat sat, 12 times", "let us out", "it's a dog's life"]


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


def byte_level() -> ByteLevelTokenizer:
    """Return a tokenizer as of GPT-2, made of a few texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False, initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS, trainer)
    return ByteLevelTokenizer(made)


def write_gpt2(path: Path) -> None:
    """Write the folder of a model of GPT-2's kind, which does not say in what form its texts were."""
    tokenizer = byte_level()
    save_transformer_lm(TextModel(small_lm(len(tokenizer)), tokenizer, None, None, "test"), path)
