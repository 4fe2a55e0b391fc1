"""Weights in integers of eight bits."""

import numpy as np
import pytest

from sonant.export.quantize import BLOCK, ZERO, quantized


@pytest.mark.parametrize("inputs", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_weight_comes_back_within_half_a_step(inputs):
    weight = np.random.default_rng(inputs).standard_normal((inputs, 5)).astype(np.float32)
    weight[:, 2] = 0
    integers, scales = quantized(weight)
    assert (integers.dtype, integers.shape) == (np.uint8, (5, -(-inputs // BLOCK), BLOCK))
    back = ((integers.astype(np.float32) - ZERO) * scales[..., None]).reshape(5, -1)[:, :inputs].T
    steps = np.repeat(scales, BLOCK, axis=1)[:, :inputs].T
    assert (np.abs(back - weight) <= steps / 2 + 1e-7).all()
    assert (back[:, 2] == 0).all()
