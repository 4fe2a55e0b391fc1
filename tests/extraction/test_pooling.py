import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.errors import UnknownName
from sonant.extraction.pooling import POOLS, RunningPool, unit_length


def plainly(frames: torch.Tensor, pool: str) -> torch.Tensor:
    wide = frames.double()
    match pool:
        case "mean":
            pooled = wide.mean(1)
        case "max":
            pooled = wide.amax(1)
        case _:
            pooled = torch.cat([wide.mean(1), wide.std(1, correction=0)], -1)
    return pooled.float()


@settings(deadline=None)
@given(
    blocks=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    layers=st.integers(1, 3),
    offset=st.sampled_from([0.0, 1000.0]),
    pool=st.sampled_from(POOLS),
)
def test_blocks_of_any_size_pool_like_the_whole(blocks: list[int], layers: int, offset: float, pool: str) -> None:
    frames = torch.randn(layers, sum(blocks), 5, generator=torch.Generator().manual_seed(sum(blocks))) + offset
    running = RunningPool(pool)
    for block in frames.split(blocks, dim=1):
        running.append(block)
    torch.testing.assert_close(running.finish(), plainly(frames, pool), rtol=1e-6, atol=1e-6)


def test_an_unknown_pooling_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="mean, max"):
        RunningPool("median")


def test_unit_length_keeps_directions() -> None:
    vectors = torch.randn(4, 3)
    scaled = unit_length(vectors)
    torch.testing.assert_close(scaled.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(scaled * vectors.norm(dim=-1, keepdim=True), vectors)
