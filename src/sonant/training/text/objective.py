"""Prediction of the next token, the objective of a language model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch.nn.functional as F

from sonant.loss import Loss, Objective
from sonant.models.transformer_lm import TransformerLM
from sonant.training.text.batches import TextBatch

PERPLEXITY = "perplexity_per_token"


class NextToken(Objective):
    """Cross-entropy of the next token; each text is predicted by itself."""

    def __init__(self, model: TransformerLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: TextBatch) -> Loss:
        """Return the loss, summed over tokens and ends."""
        logits = self.model.logits(self.model(batch.tokens)).float()
        loss = F.cross_entropy(logits, batch.targets, reduction="sum")
        correct = (logits.argmax(-1) == batch.targets).sum()
        count = len(batch.targets)
        return Loss(loss, count, {"token_accuracy": (correct, count)})

    def derived(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the perplexity."""
        return {PERPLEXITY: math.exp(min(metrics["loss"], 700.0))}
