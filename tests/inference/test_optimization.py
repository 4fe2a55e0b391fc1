"""What an optimized copy is, besides giving the same states (which `tests/laws` proves for every family)."""

import copy
import pickle
import warnings
from functools import partial

import pytest
import torch

from sonant.benchmark.subjects import exaggerate
from sonant.errors import ConfigurationError, ModelWarning, UnknownName
from sonant.inference import OptimizedCopies, optimization, optimize
from sonant.inference.cpu.arithmetic import fastest
from sonant.layers.packed import Packed
from sonant.models import Backbone, Wav2Vec2Config, WavLMConfig, build
from tests.shapes import SMALL

CPU = torch.device("cpu")


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(WavLMConfig(**SMALL)))


@pytest.fixture
def speech() -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.pack(torch.randn(length, generator=generator) for length in (16_000, 400, 7_777))


def last(model: Backbone, speech: Packed) -> torch.Tensor:
    with torch.no_grad():
        return model(speech, layers=["last"]).last


def test_the_model_stays_as_it_was_and_goes_on_training(backbone, speech) -> None:
    backbone.train()
    before = copy.deepcopy(backbone.state_dict())
    optimized = optimize(backbone)
    assert not optimized.training
    assert all(module.training for module in backbone.modules())
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name])
    backbone(speech).last.sum().backward()
    assert backbone.encoder.layers[0].attention.query.weight.grad is not None
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_weights_that_are_not_rearranged_are_shared(backbone) -> None:
    optimized = optimize(backbone)
    for name in ("projection.norm.weight", "encoder.relative_positions.weight"):
        mine, theirs = optimized.get_parameter(name), backbone.get_parameter(name)
        assert mine.data_ptr() == theirs.data_ptr()
        assert theirs.requires_grad
        assert not mine.requires_grad


def test_no_gradient_is_kept_though_nobody_says_so(backbone, speech) -> None:
    states = optimize(backbone)(speech)
    assert not states.last.requires_grad
    assert torch.equal(states.last, last(optimize(backbone), speech))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lesser_weights_are_run_and_stay_what_they_are(backbone, speech, dtype) -> None:
    expected = last(optimize(backbone), speech)
    backbone.to(dtype)
    given = last(optimize(backbone), speech)
    assert given.dtype == torch.float32
    assert (given - expected).norm() < 0.05 * expected.norm()
    assert {parameter.dtype for parameter in backbone.parameters()} == {dtype}


def test_float64_is_run_as_it_is(backbone, speech) -> None:
    backbone.double()
    expected = last(backbone.eval(), speech.with_values(speech.values.double()))
    given = last(optimize(backbone), speech.with_values(speech.values.double()))
    assert torch.equal(given, expected)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_what_the_cpu_does_not_gain_from_is_said_and_not_done(backbone, speech, precision, monkeypatch) -> None:
    monkeypatch.setattr(optimization, "fastest", partial(fastest, ratio=lambda *_: 1.0))
    with pytest.warns(ModelWarning, match=f"{precision}.*not faster than 'float32'"):
        optimized = optimize(backbone, precision)
    assert torch.equal(last(optimized, speech), last(optimize(backbone, "float32"), speech))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_what_the_cpu_gains_from_is_done_and_not_spoken_of(backbone, precision, monkeypatch) -> None:
    monkeypatch.setattr(optimization, "fastest", partial(fastest, ratio=lambda *_: 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert optimize(backbone, precision).origin.precision == precision


def test_wrong_precisions_are_refused(backbone) -> None:
    with pytest.raises(UnknownName, match="int4"):
        optimize(backbone, "int4")
    with pytest.raises(ConfigurationError, match="bfloat16"):
        optimize(backbone, "float16")
    with pytest.raises(ConfigurationError, match=r"dtype=torch\.float32"):
        optimize(backbone.bfloat16(), "float32")


def test_copies_are_kept_until_weights_or_precision_change(backbone, speech) -> None:
    copies = OptimizedCopies()
    first = copies.get(backbone, None, CPU)
    assert copies.get(backbone, None, CPU) is first
    near = copies.get(backbone, "bfloat16", CPU)
    assert near is not first
    again = copies.get(backbone, None, CPU)
    before = last(again, speech)
    with torch.no_grad():
        backbone.encoder.layers[1].feed_forward.inner.weight.mul_(1.5)
    changed = copies.get(backbone, None, CPU)
    assert changed is not again
    after = last(changed, speech)
    assert (after - before).norm() > 1e-3 * before.norm()
    assert (after - last(backbone.eval(), speech)).norm() < 1e-5 * after.norm()
    other = copy.deepcopy(backbone)
    assert copies.get(other, None, CPU) is not changed


def test_copies_stay_behind_when_their_owner_is_pickled_or_copied(backbone, speech) -> None:
    copies = OptimizedCopies()
    expected = last(copies.get(backbone, None, CPU), speech)
    for moved in (pickle.loads(pickle.dumps((copies, backbone))), copy.deepcopy((copies, backbone))):
        assert torch.equal(last(moved[0].get(moved[1], None, CPU), speech), expected)


def test_another_choice_of_integers_makes_another_copy(backbone) -> None:
    copies = OptimizedCopies()
    first = copies.get(backbone, None, CPU)
    backbone.int8_groups = ("feed_forward", "attention")
    assert copies.get(backbone, None, CPU) is not first


def test_a_model_made_for_inference_alone_is_optimized_too(speech) -> None:
    with torch.inference_mode():
        backbone = exaggerate(build(WavLMConfig(**SMALL)))
        copies = OptimizedCopies()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert copies.get(backbone, None, CPU) is copies.get(backbone, None, CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_copy_follows_the_adapters_of_its_model(speech, dtype) -> None:
    torch.manual_seed(0)
    backbone = exaggerate(build(Wav2Vec2Config(**SMALL, pre_norm=True, attention_adapter_dim=5))).to(dtype)
    copies = OptimizedCopies()
    first = copies.get(backbone, None, CPU)
    before = last(first, speech)
    with copies.following(backbone), torch.no_grad():
        for layer in backbone.encoder.layers:
            layer.adapter.inner.weight.normal_()
            layer.adapter.norm.bias.normal_()
    assert copies.get(backbone, None, CPU) is first
    after = last(first, speech)
    assert (after - before).norm() > 1e-2 * before.norm()
    assert torch.equal(after, last(optimize(backbone), speech))
    with torch.no_grad():
        backbone.encoder.layers[0].feed_forward.inner.weight.mul_(2)
    with copies.following(backbone):
        pass
    assert copies.get(backbone, None, CPU) is not first
