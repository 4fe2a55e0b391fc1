"""Residual quantization: k-means of features, then of what is left of them, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from sonant.pretraining.kmeans import KMeans, Stream, fit_kmeans


@dataclass(frozen=True, eq=False)
class ResidualKMeans:
    """Fitted codebooks, each of the differences between features and the centroids chosen before it.

    Attributes:
        made_of: account of the features, as of `KMeans`.
    """

    FILE: ClassVar = "codebooks.safetensors"  # in a folder of targets

    codebooks: tuple[KMeans, ...]
    made_of: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, features: Tensor) -> Tensor:
        """Codes of rows (rows, dim): int64 (rows, num_codebooks)."""
        return self.quantized(features)[0]

    def quantized(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of rows (rows, dim), and what the centroids of all codebooks leave of the rows, float32 (rows, dim)."""
        rest, codes = features.float(), []
        for kmeans in self.codebooks:
            codes.append(kmeans(rest))
            rest = rest - kmeans.centroids.to(rest.device)[codes[-1]]
        return torch.stack(codes, dim=1) if codes else torch.empty(len(rest), 0, dtype=torch.int64), rest

    def save(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        """Write centroids (num_codebooks, clusters, dim) and account as safetensors."""
        centroids = torch.stack([each.centroids for each in self.codebooks])
        save_file({"codebooks": centroids}, path, metadata={**self.made_of, **(metadata or {})})


def fit_residual_kmeans(stream: Stream, num_clusters: int, num_codebooks: int, *, seed: int = 0) -> ResidualKMeans:
    """Fit codebooks one after another, each by `fit_kmeans` on what those before it leave of the stream."""
    fitted = ResidualKMeans(())
    for number in range(num_codebooks):

        def left(before: ResidualKMeans = fitted) -> Iterator[Tensor]:
            return (before.quantized(chunk)[1] for chunk in stream())

        fitted = ResidualKMeans((*fitted.codebooks, fit_kmeans(left, num_clusters, seed=seed + number)))
    return fitted
