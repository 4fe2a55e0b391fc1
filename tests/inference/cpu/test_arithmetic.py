"""Each kind of product is computed in what is fast on the machine, and never in what is slower than float32."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
import torch

from sonant.benchmark.machine import MachineLimits
from sonant.benchmark.subjects import exaggerate
from sonant.inference.cpu import arithmetic as module
from sonant.inference.cpu.arithmetic import (
    FLOAT32,
    Arithmetic,
    Kind,
    computations,
    fastest,
    int8_arithmetic,
    measured,
)
from sonant.inference.cpu.extractor import CpuExtractor
from sonant.inference.cpu.linear import CpuFeedForward, CpuLinear, IntegerProduct
from sonant.inference.cpu.timing import time_ratio
from sonant.inference.int8.check import near
from sonant.inference.int8.optimization import optimize_in_int8
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2Config, WavLMConfig, build
from sonant.models.catalog import find
from tests.shapes import SMALL

BFLOAT16 = Arithmetic("bfloat16", "bfloat16", "bfloat16", "bfloat16")
KINDS = ("linear", "convolution", "grouped", "depthwise")
XEON = {"float32": 339.0, "bfloat16": 179.0, "int8": 1474.0}  # GFLOP/s, measured: AVX512-BF16 without AMX


class Machine:
    """One whose products take so long, by precision, or by kind and precision."""

    def __init__(self, times) -> None:
        self.times = times

    def time(self, kind, precision) -> float:
        return self.times.get((kind, precision), self.times.get(precision))

    def __call__(self, kind, given, present) -> float:
        return self.time(kind, given) / self.time(kind, present)


def machine(*, linear: bool, convolutions: bool, integers: bool) -> Machine:
    """One where these are fast in lesser precision, and all else is twice as slow as in float32."""
    times = {"float32": 1.0, "bfloat16": 2.0, "int8": 0.25 if integers else 2.0}
    fast = [*(["linear", "feed_forward"] if linear else []), *(KINDS[1:] if convolutions else [])]
    return Machine(times | {(kind, "bfloat16"): 0.5 for kind in fast})


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize(("linear", "convolutions", "integers"), list(product([False, True], repeat=3)))
def test_the_fastest_of_every_machine(precision, linear, convolutions, integers) -> None:
    ratio = machine(linear=linear, convolutions=convolutions, integers=integers)
    made = fastest(precision, ratio)
    if precision == "float32":
        assert made == FLOAT32
        return
    for kind in KINDS:
        chosen = getattr(made, kind)
        assert ratio.time(kind, chosen) == min(ratio.time(kind, "float32"), ratio.time(kind, "bfloat16"))
    assert made.integers == (precision == "int8" and integers)
    assert made.precision == ("int8" if made.integers else made.linear)


def test_a_processor_that_says_it_has_bfloat16_and_is_slow_at_it() -> None:
    """Integers are used beside float32: on the largest WavLM 1.6 times as fast as float32 alone, by the limits."""
    ratio = Machine({name: 1 / rate for name, rate in XEON.items()})
    assert fastest("bfloat16", ratio) == FLOAT32
    assert fastest("int8", ratio) == Arithmetic(integers=True)
    limits, config = MachineLimits(XEON, {}, 1.0), find("wavlm-large").config
    assert limits.seconds(config, [160_000], "float32") >= 1.6 * limits.seconds(config, [160_000], "int8")
    assert limits.seconds(config, [160_000], "float32") == limits.seconds(config, [160_000], "bfloat16")


@pytest.mark.parametrize("noise", [0.92, 0.97, 1.0, 1.05])
def test_where_both_are_as_fast_noise_does_not_decide(noise) -> None:
    assert fastest("int8", lambda *_: noise) == FLOAT32


def test_float32_needs_no_trial() -> None:
    assert fastest("float32", lambda *_: pytest.fail("was measured")) == FLOAT32


def test_integers_have_to_gain_on_the_faster_of_the_floats() -> None:
    for seconds, gain in ((0.3, True), (0.48, False)):
        times = {"float32": 1.0, "bfloat16": 0.5, "int8": seconds}
        assert fastest("int8", Machine(times)) == replace(BFLOAT16, integers=gain)


@pytest.mark.parametrize("rest", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("config", [WavLMConfig(**SMALL), W2vBERT2Config(dim=32, num_layers=2, num_heads=2)])
def test_a_model_is_computed_in_what_was_found(config, rest) -> None:
    torch.manual_seed(0)
    backbone = exaggerate(build(config))
    ready = optimize_in_int8(backbone, rest)
    dtype = getattr(torch, rest.linear)
    for part in ready.modules():
        match part:
            case CpuLinear():
                assert (part.precision, part.dtype) == (rest.linear, dtype)
            case CpuFeedForward():
                assert isinstance(part.inner, IntegerProduct)
                assert part.dtype == part.outer.dtype == dtype
            case CpuExtractor():
                assert {layer.dtype for layer in part.rest if hasattr(layer, "dtype")} <= {dtype}
    speech = Packed.pack([torch.randn(8000), torch.randn(3000)])
    with torch.no_grad():
        assert near(ready(speech), backbone(speech))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_is_timed_is_the_same_in_every_precision(kind) -> None:
    precisions = ["float32", "bfloat16", *(["int8"] if kind == "feed_forward" else [])]
    before = torch.get_rng_state()
    by_precision = [list(computations(kind, precision)) for precision in precisions]
    assert torch.equal(torch.get_rng_state(), before)  # the order of random numbers is the user's
    for expected, *others in zip(*by_precision, strict=True):
        for other in others:
            error = (other().double() - expected().double()).norm() / expected().double().norm()
            assert 0 < error < 0.03 or kind in ("grouped", "depthwise")


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_is_slower_on_this_machine(kind) -> None:
    chosen = getattr(fastest("bfloat16"), kind)
    if chosen == "float32":
        pytest.skip("it is float32")
    for given, present in zip(computations(kind, chosen), computations(kind, "float32"), strict=True):
        assert time_ratio(given, present) < 1.25


def test_integers_that_are_wrong_are_not_timed(monkeypatch) -> None:
    monkeypatch.setattr(module, "integers_are_exact", lambda: False)
    monkeypatch.setattr(module, "time_ratio", lambda *_: pytest.fail("was timed"))
    assert measured.__wrapped__("feed_forward", "int8", "float32") == torch.inf


def test_every_shape_has_to_gain(monkeypatch) -> None:
    for ratios, slowest in (([0.5, 0.7], 0.7), ([0.7, 0.5], 0.7), ([0.5, 1.5], 1.5), ([1.5], 1.5)):
        left = iter(ratios)
        monkeypatch.setattr(module, "time_ratio", lambda *_, left=left: next(left))
        assert measured.__wrapped__("linear", "bfloat16", "float32") == slowest


def test_int8_whether_it_is_fast_or_not() -> None:
    assert int8_arithmetic() == replace(fastest("bfloat16"), integers=True)
