"""Vectors that tell their label in part."""

import numpy as np

from sonant.evaluation.maeb import LabeledVectors

LABELS = ("left", "right", "up")


def labeled_vectors(count: int, *, seed: int, dim: int = 6) -> LabeledVectors:
    """Draw vectors (count, dim) around a direction for each of three labels, which are not equally frequent."""
    generator = np.random.default_rng(seed)
    numbers = generator.choice(3, size=count, p=[0.5, 0.3, 0.2])
    vectors = generator.standard_normal((count, dim)) + 0.9 * np.eye(3, dim)[numbers]
    return LabeledVectors(vectors.astype(np.float32), [LABELS[number] for number in numbers])
