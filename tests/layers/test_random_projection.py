"""The random-projection quantizer: nearest by angle, frozen, a function of its seed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.layers.random_projection import CHUNK_ROWS, RandomProjectionQuantizer


def rows(count: int = 50, dim: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def test_the_nearest_code_by_distance_on_the_sphere() -> None:
    """Arg-max of the cosine is arg-min of the distance of vectors of length one: as BEST-RQ is written."""
    quantizer = RandomProjectionQuantizer(20, codebook_size=30, code_dim=5, num_codebooks=3)
    features = rows()
    labels = quantizer(features)
    assert labels.shape == (50, 3)
    assert labels.dtype == torch.int64
    for number, row in enumerate(features):
        for book in range(3):
            projected = row @ quantizer.projection[book]
            projected = projected / projected.square().sum().sqrt()
            distances = [(projected - code / code.norm()).square().sum().item() for code in quantizer.codebook[book]]
            assert labels[number, book] == distances.index(min(distances))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(0.01, 100))
def test_scale_does_not_matter_and_each_row_has_its_own(scale: float) -> None:
    quantizer, features = RandomProjectionQuantizer(20, codebook_size=64), rows()
    assert torch.equal(quantizer(features * scale), quantizer(features))
    scales = torch.linspace(0.1, scale + 1, len(features))[:, None]
    assert torch.equal(quantizer(features * scales), quantizer(features))  # the norm runs over a row, not a column


def test_rows_do_not_know_each_other() -> None:
    quantizer, features = RandomProjectionQuantizer(20, codebook_size=64, num_codebooks=2), rows(CHUNK_ROWS + 7)
    labels = quantizer(features)
    assert torch.equal(quantizer(features[-9:]), labels[-9:])
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer(features[order]), labels[order])


def test_frozen_and_seeded() -> None:
    quantizer = RandomProjectionQuantizer(20, codebook_size=64, num_codebooks=2, seed=5)
    assert list(quantizer.parameters()) == []
    assert set(quantizer.state_dict()) == {"projection", "codebook"}
    torch.manual_seed(123)
    again, other = (RandomProjectionQuantizer(20, codebook_size=64, num_codebooks=2, seed=seed) for seed in (5, 6))
    assert torch.equal(quantizer(rows()), again(rows()))
    assert not torch.equal(quantizer(rows()), other(rows()))
    assert not torch.equal(quantizer(rows())[:, 0], quantizer(rows())[:, 1])


def test_drawn_as_published() -> None:
    quantizer = RandomProjectionQuantizer(160)
    assert quantizer.projection.shape == (1, 160, 16)
    assert quantizer.codebook.shape == (1, 8192, 16)
    limit = (6 / 176) ** 0.5
    assert quantizer.projection.abs().max() <= limit
    assert quantizer.projection.abs().max() > 0.99 * limit
    assert abs(quantizer.projection.mean()) < 0.01
    torch.testing.assert_close(quantizer.codebook.norm(dim=-1), torch.ones(1, 8192))


def test_many_codes_are_in_use() -> None:
    labels = RandomProjectionQuantizer(20, codebook_size=64)(rows(2000))
    assert len(labels.unique()) > 55
