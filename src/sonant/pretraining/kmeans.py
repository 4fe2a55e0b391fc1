"""k-means over a stream of features: exact Lloyd steps that never hold the corpus in memory.

Ours, as the exact k-means of scikit-learn and faiss want all features in memory: those of a tenth of LibriSpeech are
53 GB in float32. Here they come in blocks, on whatever device PyTorch has.
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
    """Cluster centers, and the label of a feature: the number of the nearest.

    Attributes:
        centroids: float32 (clusters, dim).
    """

    centroids: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Nearest centroid of each row of (rows, dim): int64 (rows,)."""
        return self.nearest(features)[0]

    def nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest centroid of each row and the squared distance to it, both (rows,)."""
        labels, distances = [], []
        centroids = self.centroids.to(features.device)
        norms = centroids.square().sum(1)
        for chunk in features.float().split(CHUNK_ROWS):
            distance, label = torch.addmm(norms, chunk, centroids.T, alpha=-2).min(1)
            labels.append(label)
            distances.append((distance + chunk.square().sum(1)).clamp(min=0))
        return torch.cat(labels), torch.cat(distances)

    def save(self, path: str | Path, metadata: dict[str, str] | None = None) -> None:
        """Write the centroids as safetensors, with where they came from."""
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
    """Fit by Lloyd's algorithm from a k-means++ start.

    Args:
        stream: gives the features anew at each call, in chunks (rows, dim) of any size.
        max_steps: passes over the stream at most.
        tolerance: stop when a pass lowers the mean squared distance by less than this share.
        init_rows: rows, sampled evenly from the stream, on which the start is drawn.
        seed: of the sample and the start.

    Clusters that lose all their rows move: the first to the row farthest from its center, others to rows at random. All
    sums are float64, so that the way the stream is cut does not matter.
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
    """Draw at most `size` rows, each row of the stream equally likely: the ones with the smallest random keys.

    One pass finds their numbers and another takes them, so that no other row is held.
    """
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
    """k-means++: each next center is drawn in proportion to its squared distance from the nearest so far."""
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
