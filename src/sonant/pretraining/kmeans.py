"""Exact k-means (Lloyd) over a stream of features that does not fit into memory.

scikit-learn and faiss need all features in memory for it: 53 GB in float32 for a tenth of LibriSpeech.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sonant.data.settings import described, differences
from sonant.errors import ConfigurationError
from sonant.models import Backbone
from sonant.models.identity import fingerprint

CHUNK_ROWS = 16_384
Stream = Callable[[], Iterable[Tensor]]


# Other tools cluster the states before a block's last residual connection, with other numbers of the same shape.
STATES = "output of block `layer`, after its residual connections and before any final norm; 0: input of the first"


@dataclass(frozen=True, eq=False)
class KMeans:
    """Fitted k-means.

    Attributes:
        centroids: float32 (clusters, dim).
        made_of: account of the features, kept in the file: of hidden states `model` (a fingerprint), `layer` and
            `states` (the convention, `STATES`); empty if unknown.
    """

    FILE: ClassVar = "kmeans.safetensors"  # in a folder of targets

    centroids: Tensor
    made_of: Mapping[str, str] = field(default_factory=dict)

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

    def save(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        """Write centroids and account as safetensors."""
        save_file({"centroids": self.centroids.contiguous()}, path, metadata={**self.made_of, **(metadata or {})})

    @classmethod
    def load(cls, path: str | Path) -> KMeans:
        """Read a file of `save`, or a .npy (clusters, dim), which has no account.

        Raises:
            ConfigurationError: the file is missing or holds something else.
        """
        path = Path(path)
        if not path.exists():
            raise ConfigurationError(
                f"There is no file {str(path)!r} with cluster centers: check the spelling and the folder."
            )
        try:
            if path.suffix == ".npy":
                centroids = torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
                if centroids.ndim == 2:
                    return cls(centroids)
                raise ValueError(f"an array of shape {tuple(centroids.shape)}")
            with safe_open(path, "pt") as file:
                return cls(file.get_tensor("centroids"), file.metadata() or {})
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{path} holds no cluster centers ({error}). Expected a file as pretraining saves it: "
                "kmeans.safetensors, in the folder `targets` of a stage; or a .npy (clusters, dim)."
            ) from error

    def check_states(self, model: Backbone, layer: int | str) -> None:
        """Raise ConfigurationError if the centroids are of other states than a layer of the model.

        The account is compared where the file has one, the model where its weights are float32.
        """
        if self.centroids.shape[1] != model.dim:
            raise ConfigurationError(
                f"The cluster centers have {self.centroids.shape[1]} numbers, the hidden states of the model "
                f"{model.dim}: they were made of another model's states (39 numbers are MFCC). Give those of this "
                "model."
            )
        here = {"layer": str(layer), "states": STATES}
        if "model" in self.made_of and all(each.dtype == torch.float32 for each in model.parameters()):
            here["model"] = fingerprint(model)
        there = {name: self.made_of.get(name, value) for name, value in here.items()}
        if differing := differences(there, here):
            raise ConfigurationError(
                f"The cluster centers were made of other states than these ({described(differing)}), whose clusters "
                "would mean nothing. Give the model and the layer that they were made of."
            )


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
