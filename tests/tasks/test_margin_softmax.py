"""Losses with a margin against their definitions."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from sonant.tasks.margin_softmax import SpeakerLoss, margin_softmax

DRAW = torch.Generator().manual_seed(0)
ANGLES = torch.rand(6, 5, generator=DRAW, dtype=torch.double) * math.pi
LABELS = torch.tensor([0, 4, 2, 1, 3, 3])


@pytest.mark.parametrize("kind", ["am_softmax", "aam_softmax"])
def test_without_a_margin_it_is_the_softmax_of_scaled_cosines(kind: SpeakerLoss) -> None:
    found = margin_softmax(ANGLES.cos(), LABELS, kind, scale=30, margin=0)
    torch.testing.assert_close(found, F.cross_entropy(30 * ANGLES.cos(), LABELS, reduction="sum"))
    plain = margin_softmax(30 * ANGLES.cos(), LABELS, "softmax", scale=1, margin=0.5)
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("kind", ["am_softmax", "aam_softmax"])
def test_the_margin_is_that_of_the_labeled_class_alone(kind: SpeakerLoss) -> None:
    angles, expected = ANGLES * 0.9, 0.0  # below pi - margin
    for row, label in zip(angles, LABELS, strict=True):
        cosines = [math.cos(angle) for angle in row]
        angle = float(row[label])
        cosines[label] = math.cos(angle) - 0.2 if kind == "am_softmax" else math.cos(angle + 0.2)
        total = sum(math.exp(10 * cosine) for cosine in cosines)
        expected -= math.log(math.exp(10 * cosines[label]) / total)
    found = margin_softmax(angles.cos(), LABELS, kind, scale=10, margin=0.2)
    assert float(found) == pytest.approx(expected)


def test_the_angular_loss_falls_with_the_cosine_to_the_end() -> None:
    cosines = torch.linspace(-1, 1, 400, dtype=torch.double)
    losses = [
        float(margin_softmax(torch.stack([each, torch.zeros(())])[None], torch.tensor([0]), "aam_softmax", scale=5,
                             margin=0.4)) for each in cosines
    ]  # fmt: skip
    assert all(left > right for left, right in pairwise(losses))
