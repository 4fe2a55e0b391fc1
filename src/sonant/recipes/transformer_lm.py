"""Transformer language models, trained on text; need data=TEXT.

The small one is for texts of some megabytes and a CPU. The large one has the sizes of the language model that wav2vec
2.0 and HuBERT were decoded with, trained there on the 800 million words of LibriSpeech's language model corpus.
"""

from dataclasses import replace

from sonant.models.transformer_lm import PAPER
from sonant.recipes.sources import TEXT_SETTINGS, SettingSource, Sources
from sonant.training import Cosine, Training
from sonant.training.text import LanguageModelRun

OURS = SettingSource("ours", "for texts of some megabytes")
SIZES = SettingSource("published", "wav2vec 2.0 (arXiv 2006.11477), section 4.3: 20 blocks, 1,280, 6,144, 16 heads")
LARGE = SettingSource("ours", "the paper gives the sizes alone; the architecture is that of GPT-2")
COMMON = Training(decay_vectors=False, weight_decay=0.1, clip_norm=1.0)


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    if name == "transformer_lm":
        return dict.fromkeys(TEXT_SETTINGS, OURS)
    sizes = ("dim", "num_layers", "num_heads", "feed_forward_dim")
    return dict.fromkeys(TEXT_SETTINGS, LARGE) | {f"model.{size}": SIZES for size in sizes}


def recipe(name: str) -> LanguageModelRun:
    """1,000 steps of 2,048 tokens; or 200,000 steps of 65,536 tokens in batches of 16,384."""
    if name == "transformer_lm":
        return LanguageModelRun(
            name=name,
            vocabulary_size=2_000,
            batch_tokens=2_048,
            training=replace(
                COMMON, steps=1_000, lr=2e-3, schedule=Cosine(warmup=0.1), save_every=100, validate_every=100
            ),
        )
    return LanguageModelRun(
        name=name,
        model=PAPER,
        vocabulary_size=10_000,
        batch_tokens=16_384,
        training=replace(
            COMMON,
            steps=200_000,
            lr=3e-4,
            schedule=Cosine(warmup=0.02),
            grad_accumulation=4,
            precision="bfloat16",
        ),
    )
