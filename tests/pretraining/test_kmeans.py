"""k-means: Lloyd's algorithm, however the stream is cut."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.models import Backbone, WavLMConfig, build
from sonant.models.identity import fingerprint
from sonant.pretraining import KMeans, fit_kmeans
from sonant.pretraining.kmeans import STATES


def blobs(rows: int = 600, clusters: int = 4, dim: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centers = 20 * torch.randn(clusters, dim, generator=generator)
    return centers[torch.arange(rows) % clusters] + torch.randn(rows, dim, generator=generator)


def inertia(kmeans: KMeans, rows: torch.Tensor) -> float:
    return kmeans.nearest(rows)[1].mean().item()


def test_well_separated_clusters_are_found() -> None:
    rows = blobs()
    labels = fit_kmeans(lambda: [rows], 4)(rows)
    assert len({(int(label), i % 4) for i, label in enumerate(labels)}) == 4


@given(cut=st.integers(1, 600))
@settings(max_examples=10)
def test_the_cut_of_the_stream_does_not_matter(cut: int) -> None:
    rows = blobs()
    whole, cut_up = (fit_kmeans(lambda size=size: rows.split(size), 5).centroids for size in (600, cut))
    torch.testing.assert_close(whole, cut_up)


def test_the_label_is_the_nearest_centroid() -> None:
    rows, kmeans = blobs(), KMeans(blobs(7))
    labels, distances = kmeans.nearest(rows)
    reference = torch.cdist(rows.double(), kmeans.centroids.double()).square()
    assert torch.equal(labels, reference.argmin(1))
    torch.testing.assert_close(distances.double(), reference.min(1).values, rtol=1e-3, atol=1e-3)


def test_it_is_as_good_as_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rows = torch.randn(3_000, 8, generator=torch.Generator().manual_seed(1))
    ours = min(inertia(fit_kmeans(lambda: [rows], 20, seed=seed), rows) for seed in range(3))
    theirs = cluster.KMeans(20, n_init=3, random_state=0).fit(rows.numpy()).inertia_ / len(rows)
    assert ours < 1.02 * theirs


def test_every_cluster_keeps_rows_where_rows_repeat() -> None:
    rows = torch.cat([torch.zeros(500, 2), torch.arange(20.0).reshape(10, 2)])
    kmeans = fit_kmeans(lambda: [rows], 8)
    assert kmeans.centroids.isfinite().all()
    assert len(kmeans(rows).unique()) == 8


def test_more_clusters_than_rows_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="5 clusters"):
        fit_kmeans(lambda: [torch.zeros(4, 2)], 5)


def test_saved_centroids_come_back(tmp_path: Path) -> None:
    kmeans = KMeans(blobs(5))
    kmeans.save(tmp_path / "kmeans.safetensors", {"targets": "test"})
    assert torch.equal(KMeans.load(tmp_path / "kmeans.safetensors").centroids, kmeans.centroids)


def test_the_stream_is_never_held() -> None:
    given: list[weakref.ref[Tensor]] = []

    def stream() -> Iterator[Tensor]:
        for seed in range(40):
            assert sum(each() is not None for each in given) <= 2, "the chunk that is used, and the one before it"
            chunk = torch.randn(50, 3, generator=torch.Generator().manual_seed(seed))
            given.append(weakref.ref(chunk))
            yield chunk
            del chunk

    fit_kmeans(stream, 4, init_rows=100, max_steps=3)
    assert len(given) >= 40 * 3


@pytest.fixture
def of_layer(tiny: WavLMConfig) -> tuple[Backbone, KMeans]:
    """Centers of layer 1 of a model."""
    model = build(tiny)
    return model, KMeans(torch.randn(3, model.dim), {"model": fingerprint(model), "layer": "1", "states": STATES})


def test_centers_say_what_they_were_made_of(of_layer: tuple[Backbone, KMeans], tmp_path: Path) -> None:
    model, kmeans = of_layer
    kmeans.save(tmp_path / "kmeans.safetensors")
    kmeans = KMeans.load(tmp_path / "kmeans.safetensors")
    kmeans.check_states(model, 1)
    with pytest.raises(ConfigurationError, match="other states .*layer: there '1', here '2'"):
        kmeans.check_states(model, 2)
    with pytest.raises(ConfigurationError, match="layer: there '1', here 'last'"):
        kmeans.check_states(model, "last")
    before_residual = KMeans(kmeans.centroids, {**kmeans.made_of, "states": "before the residual connection"})
    with pytest.raises(ConfigurationError, match="states: there 'before the residual"):
        before_residual.check_states(model, 1)
    with torch.no_grad():
        model.encoder.layers[0].attention.output.bias.add_(1)
    with pytest.raises(ConfigurationError, match="model: there 'sha256"):
        kmeans.check_states(model, 1)
    kmeans.check_states(model.bfloat16(), 1)  # rounded weights have no fingerprint to compare


def test_centers_in_npy_have_no_account(of_layer: tuple[Backbone, KMeans], tmp_path: Path) -> None:
    model, kmeans = of_layer
    np.save(tmp_path / "centers.npy", kmeans.centroids.double().numpy())
    loaded = KMeans.load(tmp_path / "centers.npy")
    assert torch.equal(loaded.centroids, kmeans.centroids)
    assert loaded.centroids.dtype == torch.float32
    loaded.check_states(model, 2)
    np.save(tmp_path / "row.npy", np.zeros(3))
    (tmp_path / "no.safetensors").write_text("nothing")
    for name in ("row.npy", "no.safetensors"):
        with pytest.raises(ConfigurationError, match="holds no cluster centers"):
            KMeans.load(tmp_path / name)
