"""Integers stay near float32 for weights with outliers; blocks where they do not stay in floats, and are named."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sonant.benchmark.subjects import exaggerate
from sonant.checkpoints import load_backbone
from sonant.errors import ModelWarning
from sonant.inference.cpu.arithmetic import FLOAT32
from sonant.inference.cpu.linear import IntegerProduct
from sonant.inference.int8.check import equalized, lowest_cosine, near
from sonant.inference.int8.groups import passing_groups
from sonant.inference.int8.optimization import integer_form, optimize_in_int8
from sonant.inference.int8.probe import probe_clips
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, W2vBERT2Config, Wav2VecConfig, WavLMConfig, build
from tests.shapes import SMALL


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(WavLMConfig(**SMALL)))


@pytest.fixture
def clips() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, generator=generator) for length in (16_000, 3_000)]


@torch.no_grad()
def enlarge(backbone: Backbone, kind: str) -> Backbone:
    """Make a few channels 10 to 30 times as large as the others, as they are in trained Transformers."""
    generator = torch.Generator().manual_seed(2)
    for name, module in backbone.named_modules():
        match kind:
            case "norms" if name.endswith(("attention_norm", "feed_forward_norm")):
                weight = module.weight
            case "inner" if isinstance(module, FeedForward):
                weight = module.inner.weight
            case "outer" if isinstance(module, FeedForward):
                weight = module.outer.weight
            case _:
                continue
        rows = torch.randperm(len(weight), generator=generator)[:3]
        weight[rows] *= 10 + 20 * torch.rand(3, *[1] * (weight.ndim - 1), generator=generator)
    return backbone


def in_integers(module: nn.Module) -> set[str]:
    """The names of the blocks that hold products of integers."""
    found = [
        name
        for name, child in module.named_modules()
        if any(isinstance(part, IntegerProduct) for part in vars(child).values())
    ]
    return {name.removesuffix(".input").removesuffix(".output") for name in found}


@pytest.mark.parametrize("kind", ["norms", "inner", "outer"])
def test_trained_weights_with_outliers(kind) -> None:
    """Without smoothing the worst frame of these, channels equalized, falls to between 0.990 and 0.997."""
    model = enlarge(load_backbone("sonant/wavlm-tiny"), kind)
    form = integer_form(model, FLOAT32)
    assert not form.floats
    generator = torch.Generator().manual_seed(3)
    speech = Packed.pack([0.3 * torch.randn(9_000, generator=generator), 0.02 * probe_clips(16_000)[0].flip(0)])
    with torch.no_grad():
        given, expected = form.optimized(speech), model(speech)
    for number, state in expected.hidden_states.items():
        assert lowest_cosine(given.hidden_states[number], state) > 0.999
        assert lowest_cosine(*equalized(given.hidden_states[number], state)) > 0.998


@torch.no_grad()
def test_a_block_that_bears_no_integers_stays_in_floats(backbone, clips) -> None:
    """The largest weight of every output channel, of an input that is never there: its steps swallow all others."""
    block = backbone.encoder.layers[1].feed_forward
    block.inner.bias[0], block.inner.weight[0] = -60.0, 0.0  # GELU gives 0
    block.outer.weight[:, 0] = 3e4
    with pytest.warns(ModelWarning, match=r"1 of 4 blocks run in 'float32': encoder\.layers\.1\.feed_forward\. "):
        ready = optimize_in_int8(backbone, FLOAT32)
    assert in_integers(ready) == {f"encoder.layers.{number}.feed_forward" for number in (0, 2, 3)}
    speech = Packed.pack(clips)
    assert near(ready(speech), backbone(speech))


@pytest.mark.parametrize("groups", [(), ("feed_forward",), ("attention",), ("feed_forward", "attention")])
def test_what_a_model_names_is_multiplied_in_integers(backbone, clips, groups) -> None:
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    backbone.int8_groups = groups
    form = integer_form(backbone, FLOAT32)
    named = {f"encoder.layers.{number}.{group}" for number in range(4) for group in groups}
    assert in_integers(form.optimized) == set(form.integers) == named - set(form.floats)
    assert len(form.floats) <= 2
    speech = Packed.pack(clips)
    with torch.no_grad():
        given, expected = form.optimized(speech), backbone(speech)
    assert near(given, expected)
    if not groups:
        torch.testing.assert_close(given.last, expected.last, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert not any(module._forward_hooks for module in backbone.modules())


def test_the_answer_does_not_depend_on_what_came_first(backbone, clips) -> None:
    """Ranges come from a fixed probe: never from the first recording of a user."""
    first, second = optimize_in_int8(backbone, FLOAT32), optimize_in_int8(backbone, FLOAT32)
    with torch.no_grad():
        second(Packed.pack([100 * clips[0]]))
        alone = second(Packed.pack(clips[1:])).last
        assert torch.equal(alone, first(Packed.pack(clips[1:])).last)
        batch = first(Packed.pack(clips))
    torch.testing.assert_close(batch.last[-len(alone) :], alone, rtol=1e-4, atol=1e-4)


def models() -> dict[str, Callable[[], Backbone]]:
    conformer = W2vBERT2Config(dim=32, num_layers=2, num_heads=2, feed_forward_dim=64)
    return {"conformer": lambda: exaggerate(build(conformer)), "convolutions alone": lambda: build(Wav2VecConfig())}


@pytest.mark.parametrize(("name", "groups"), [("conformer", ("feed_forward", "attention")), ("convolutions alone", ())])
def test_groups_of_other_families(clips, name, groups) -> None:
    torch.manual_seed(0)
    assert passing_groups(models()[name]().eval(), clips) == groups


def test_the_probe_is_the_same_everywhere_and_fills_every_band() -> None:
    for rate in (8_000, 16_000, 44_100):
        once, again = probe_clips(rate), probe_clips(rate)
        assert all(map(torch.equal, once, again))
        for clip in once:
            assert clip.abs().max() < 1.5
            power = torch.fft.rfft(clip).abs().square()
            bands = power[: len(power) // 8 * 8].unflatten(0, (8, -1)).mean(1)
            assert (bands > 1e-7 * bands.max()).all()


def test_nothing_is_said_where_all_serves(backbone) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ready = optimize_in_int8(backbone, FLOAT32)
    assert in_integers(ready) == {f"encoder.layers.{number}.feed_forward" for number in range(4)}
