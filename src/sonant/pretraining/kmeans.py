"""Exact k-means (Lloyd) over a stream of features that does not fit into memory.

scikit-learn and faiss need all features in memory for it: 53 GB in float32 for a tenth of LibriSpeech.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonant.errors import ConfigurationError

CHUNK_ROWS = 16_384
Stream = Callable[[], Iterable[Tensor]]


@dataclass(frozen=True, eq=False)
class KMeans:
    """Fitted k-means: `centroids`, float32 (clusters, dim)."""

    centroids: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Index of the nearest centroid of each row of (rows, dim): int64 (rows,)."""
        return self.nearest(features)[0]

    def nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Index of the nearest centroid of each row, and squared distance to it, both (rows,)."""
        labels, distances = [], []
        centroids = self.centroids.to(features.device)
        norms = centroids.square().sum(1)
        for chunk in features.float().split(CHUNK_ROWS):
            distance, label = torch.addmm(norms, chunk, centroids.T, alpha=-2).min(1)
            labels.append(label)
            distances.append((distance + chunk.square().sum(1)).clamp(min=0))
        return torch.cat(labels), torch.cat(distances)

    def save(self, path: str | Path, metadata: dict[str, str] | None = None) -> None:
        """Write the centroids as safetensors."""
        save_file({"centroids": self.centroids.contiguous()}, path, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> KMeans:
        return cls(load_file(path)["centroids"])


def fit_kmeans(
    stream: Stream,
    num_clusters: int,
    *,
    max_steps: int = 50,
    tolerance: float = 1e-4,
    init_rows: int = 50_000,
    seed: int = 0,
) -> KMeans:
    """Fit by Lloyd's algorithm with k-means++ initialization. Sums are float64, so that chunk sizes do not matter.

    The first empty cluster moves to the row farthest from its centroid, others to random rows.

    Args:
        stream: called for each pass, returns all features in chunks (rows, dim).
        max_steps: most passes.
        tolerance: stop when a pass lowers the mean squared distance by less than this share.
        init_rows: rows drawn uniformly from the stream for the initialization.
        seed: of the drawn rows and the initialization.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = _reservoir(stream, init_rows, generator)
    if len(sample) < num_clusters:
        raise ConfigurationError(
            f"{num_clusters} clusters cannot be made of {len(sample)} frames; give more speech or ask for fewer."
        )
    kmeans = KMeans(_plus_plus(sample, num_clusters, generator))
    before = float("inf")
    for _ in range(max_steps):
        sums = torch.zeros(kmeans.centroids.shape, dtype=torch.float64)
        counts = torch.zeros(num_clusters, dtype=torch.float64)
        total, farthest, record = 0.0, sample[0], -1.0
        for chunk in stream():
            labels, distances = kmeans.nearest(chunk)
            sums.index_add_(0, labels.cpu(), chunk.cpu().double())
            counts += torch.bincount(labels.cpu(), minlength=num_clusters)
            total += distances.double().sum().item()
            if (top := distances.max()).item() > record:
                record, farthest = top.item(), chunk[distances.argmax()].cpu()
        centroids = (sums / counts.clamp(min=1)[:, None]).float()
        empty = torch.nonzero(counts == 0).flatten()
        centroids[empty] = sample[torch.randint(len(sample), (len(empty),), generator=generator)]
        if len(empty):
            centroids[empty[0]] = farthest
        kmeans = KMeans(centroids)
        inertia = total / counts.sum().item()
        if not len(empty) and inertia >= (1 - tolerance) * before:
            break
        before = inertia
    return kmeans


def _reservoir(stream: Stream, size: int, generator: torch.Generator) -> Tensor:
    """Draw at most `size` rows uniformly, those with the smallest random keys: a pass for indices, one for rows."""
    numbers, keys, seen = torch.empty(0, dtype=torch.int64), torch.empty(0), 0
    for chunk in stream():
        keys = torch.cat([keys, torch.rand(len(chunk), generator=generator)])
        numbers = torch.cat([numbers, torch.arange(seen, seen + len(chunk))])
        seen += len(chunk)
        if len(keys) > 2 * size:
            keys, order = keys.topk(size, largest=False)
            numbers = numbers[order]
    numbers, places = numbers[keys.topk(min(size, len(keys)), largest=False).indices].sort()
    rows, first = torch.empty(0), 0
    for chunk in stream():
        if first == 0:
            rows = torch.empty(len(numbers), chunk.shape[1])
        low, high = torch.searchsorted(numbers, torch.tensor([first, first + len(chunk)])).tolist()
        rows[places[low:high]] = chunk[(numbers[low:high] - first).to(chunk.device)].float().cpu()
        first += len(chunk)
    return rows


def _plus_plus(rows: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++: draw each centroid in proportion to the squared distance from the nearest one so far."""
    centroids = rows.new_empty(num_clusters, rows.shape[1])
    centroids[0] = rows[torch.randint(len(rows), (), generator=generator)]
    nearest = _squared_distances(rows, centroids[0])
    for i in range(1, num_clusters):
        weights = nearest.cumsum(0, dtype=torch.float64)
        drawn = torch.searchsorted(weights, torch.rand((), generator=generator, dtype=torch.float64) * weights[-1])
        centroids[i] = rows[drawn.clamp(max=len(rows) - 1)]
        nearest = torch.minimum(nearest, _squared_distances(rows, centroids[i]))
    return centroids


def _squared_distances(rows: Tensor, center: Tensor) -> Tensor:
    return torch.cat([(some - center).square().sum(1) for some in rows.split(CHUNK_ROWS)])
