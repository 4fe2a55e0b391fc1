import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.extraction.loudness import Loudness


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=5).filter(lambda lengths: sum(lengths) >= 400),
    offset=st.sampled_from([0.0, 0.3]),
    scale=st.sampled_from([1e-4, 0.1, 1.0]),
)
def test_blocks_give_the_layer_norm_of_the_whole(lengths: list[int], offset: float, scale: float) -> None:
    wave = np.random.default_rng(sum(lengths)).normal(offset, scale, sum(lengths)).astype(np.float32)
    loudness = Loudness(1e-5)
    for block in np.split(wave, np.cumsum(lengths)[:-1]):
        loudness.update(block)
    whole = torch.nn.functional.layer_norm(torch.from_numpy(wave), wave.shape).numpy()
    np.testing.assert_allclose(loudness.normalize(wave), whole, atol=2e-5)
