"""Groups of linear layers pass where integers change little, and fail where they would."""

import pytest
import torch
from torch import Tensor

from sonant.benchmark.subjects import exaggerate
from sonant.inference.cpu import prepare_cpu
from sonant.inference.cpu.arithmetic import Arithmetic
from sonant.inference.cpu.linear import IntegerProduct
from sonant.inference.int8_check import near, passing
from sonant.layers.packed import Packed
from sonant.models import Backbone, Encoded, W2vBERT2Config, WavLMConfig, build
from tests.shapes import SMALL


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(WavLMConfig(**SMALL)))


@pytest.fixture
def clips() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, generator=generator) for length in (16_000, 3_000)]


def test_all_groups_of_an_even_model_pass(backbone, clips) -> None:
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    assert passing(backbone, clips) == ("feed_forward", "attention")
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


@torch.no_grad()
def test_a_group_that_spoils_a_frame_fails(backbone, clips) -> None:
    block = backbone.encoder.layers[0].feed_forward
    block.outer.weight[:, 0] *= 100  # the largest weight of every output channel: its steps swallow the others
    assert passing(backbone, clips) == ("attention",)
    block.outer.weight[:, 0] /= 100
    block.inner.weight[0] *= 80  # one inner channel drowns the others
    assert passing(backbone, clips) == ("feed_forward",)


def products(module: torch.nn.Module) -> set[str]:
    return {
        name.split(".")[3]
        for name, child in module.named_modules()
        if any(isinstance(part, IntegerProduct) for part in vars(child).values())
    }


@pytest.mark.parametrize("groups", [(), ("feed_forward",), ("attention",), ("feed_forward", "attention")])
def test_what_a_model_names_is_multiplied_in_integers(backbone, clips, groups) -> None:
    backbone.int8_groups = groups
    ready = prepare_cpu(backbone, "int8", Arithmetic(integers=True))  # the rest in float32
    assert products(ready) == set(groups)
    speech = Packed.pack(clips)
    with torch.no_grad():
        given, expected = ready(speech), backbone(speech)
    assert near(given, expected)
    if not groups:
        torch.testing.assert_close(given.last, expected.last, rtol=1e-4, atol=1e-4)


def test_conformers_are_checked_too(clips) -> None:
    torch.manual_seed(0)
    model = exaggerate(build(W2vBERT2Config(dim=32, num_layers=2, num_heads=2, feed_forward_dim=64)))
    assert passing(model, clips) == ("feed_forward", "attention")


def test_one_frame_decides() -> None:
    torch.manual_seed(0)
    states, lengths = {0: torch.randn(9, 16), 1: torch.randn(9, 16)}, torch.tensor([5, 4])

    def moved(state: int, frame: int, by: float) -> Encoded:
        changed = {number: tensor.clone() for number, tensor in states.items()}
        changed[state][frame] += by * torch.randn(16)
        return Encoded(changed, changed[1], lengths, 50.0)

    expected = Encoded(states, states[1], lengths, 50.0)
    assert near(moved(1, 7, 0.0), expected)
    assert near(moved(0, 2, 0.01), expected)
    assert not near(moved(0, 2, 0.3), expected)
    assert not near(moved(1, 8, torch.nan), expected)
