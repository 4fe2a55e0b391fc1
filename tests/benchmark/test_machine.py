"""The machine's limits, and the least time that they leave for a model."""

import pytest
import torch

from sonant.benchmark import machine, process_memory
from sonant.benchmark.machine import MachineLimits, describe, measure_limits
from sonant.benchmark.subjects import TINY
from sonant.models.families import family_of


def test_limits_are_measured(monkeypatch):
    monkeypatch.setattr(machine, "SHAPES", ((256, 128, 512), (100, 512, 128)))
    limits = measure_limits(seconds=0.01)
    assert {"float32", "bfloat16"} <= limits.gflops.keys() == limits.paths.keys()
    assert all(rate > 0 for rate in limits.gflops.values())
    assert limits.bandwidth > 0


def test_the_machine_is_named():
    described = describe(1)
    assert described.threads == 1
    assert described.cores >= 1
    assert described.packages["torch"] == torch.__version__
    assert described.processor


def test_the_least_time_is_operations_over_the_rate_of_the_mix():
    limits = MachineLimits({"float32": 1.0, "bfloat16": 2.0, "int8": 4.0}, {}, 1.0)
    total = sum(family_of(TINY).shape.flops(TINY, samples).total for samples in (16_000, 48_000)) / 1e9
    quantized = sum(family_of(TINY).shape.flops(TINY, samples).feed_forward for samples in (16_000, 48_000)) / 1e9
    assert limits.seconds(TINY, [16_000, 48_000], "float32") == pytest.approx(total)
    assert limits.seconds(TINY, [16_000, 48_000], "bfloat16") == pytest.approx(total / 2)
    assert limits.seconds(TINY, [16_000, 48_000], "int8") == pytest.approx(quantized / 4 + (total - quantized) / 2)
    assert MachineLimits({"float32": 1.0}, {}, 1.0).seconds(TINY, [16_000], "int8") is None


@pytest.mark.skipif(not process_memory.STATUS.exists(), reason="only Linux counts the peak anew")
def test_the_peak_of_memory_is_that_since_it_was_forgotten():
    size = 200 * 2**20
    process_memory.forget_peak()
    before = process_memory.held()
    block = torch.ones(size, dtype=torch.uint8)
    assert process_memory.held() - before > 0.9 * size
    del block
    assert process_memory.held() - before < 0.5 * size
    assert process_memory.peak() - before > 0.9 * size
    process_memory.forget_peak()
    assert process_memory.peak() - before < 0.5 * size
