"""Training of Transformer language models on text."""

from sonant.training.text.run import train_language_model
from sonant.training.text.settings import LanguageModelRun

__all__ = ["LanguageModelRun", "train_language_model"]
