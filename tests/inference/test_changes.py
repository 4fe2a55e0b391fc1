"""Weights that changed are noticed, however they were written."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sonant.benchmark.subjects import exaggerate
from sonant.inference import OptimizedCopies
from sonant.inference.changes import Snapshot
from sonant.layers.packed import Packed
from sonant.models import Backbone, WavLMConfig, build
from tests.shapes import SMALL

CPU = torch.device("cpu")


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(WavLMConfig(**SMALL))).eval()


def step(model: Backbone) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(model.parameters(), lr=1e-2).step()


def average(model: Backbone) -> None:
    """As code for exponential moving averages writes."""
    for parameter in model.parameters():
        parameter.data.mul_(0.99).add_(0.01 * torch.ones_like(parameter))


def load_scaled(model: Backbone) -> None:
    model.load_state_dict({name: 1.5 * tensor for name, tensor in model.state_dict().items()})


def in_place(model: Backbone) -> None:
    with torch.no_grad():
        weight(model)[3, 5] += 1.0


def weight(model: Backbone) -> Tensor:
    return model.encoder.layers[1].feed_forward.inner.weight


def new_parameter(model: Backbone) -> None:
    model.encoder.layers[1].feed_forward.inner.weight = nn.Parameter(1.5 * weight(model))


def other_data(model: Backbone) -> None:
    weight(model).data = 1.5 * weight(model).data


def transposed(model: Backbone) -> None:
    linear = model.encoder.layers[1].attention.query
    linear.weight.data = linear.weight.data.T


@torch.no_grad()
def set_weight(model: Backbone) -> None:
    weight(model).set_(1.5 * weight(model))


WAYS: dict[str, Callable[[Backbone], Any]] = {
    "an optimizer's step": step,
    "an average": average,
    "load_state_dict": load_scaled,
    "in place": in_place,
    "a new parameter": new_parameter,
    "other data": other_data,
    "transposed data": transposed,
    "set_": set_weight,
    "data.copy_": lambda model: weight(model).data.copy_(1.5 * weight(model).data),
    "a row of data": lambda model: weight(model).data[-1].zero_(),
    "a column of data": lambda model: weight(model).data[:, 7].zero_(),
    "a number of a bias": lambda model: model.encoder.layers[0].attention.value.bias.data[3].add_(1.0),
    "a table of positions": lambda model: model.encoder.relative_positions.weight.data.mul_(2.0),
    "a convolution": lambda model: model.extractor.layers[2].conv.weight.data.mul_(1.1),
    "another type": lambda model: model.bfloat16(),
}


def last(model: Backbone, speech: Packed) -> Tensor:
    with torch.no_grad():
        return model(speech, layers=["last"]).last


@pytest.mark.parametrize("way", WAYS)
def test_however_written(backbone: Backbone, way: str) -> None:
    speech = Packed.pack([torch.randn(8_000, generator=torch.Generator().manual_seed(1))])
    copies = OptimizedCopies()
    before = last(copies.get(backbone, None, CPU), speech)
    WAYS[way](backbone)
    after = last(copies.get(backbone, None, CPU), speech)
    assert not torch.equal(after, before)
    assert (after - last(backbone.float(), speech)).norm() < 1e-2 * after.norm()


@pytest.mark.parametrize("shape", [(96, 65), (65, 96), (70, 70), (1, 5000), (5000, 1), (24, 7, 40), (100, 64)], ids=str)
def test_every_row_and_every_column_of_a_matrix_is_looked_at(shape: tuple[int, ...]) -> None:
    linear = nn.Linear(1, 1)
    linear.weight = nn.Parameter(torch.randn(shape))
    flat = linear.weight.data.flatten(1)
    for number in range(flat.shape[0]):
        snapshot = Snapshot(linear)
        flat[number] += 1.0
        assert not snapshot.holds(linear), f"row {number}"
    for number in range(flat.shape[1]):
        snapshot = Snapshot(linear)
        flat[:, number] += 1.0
        assert not snapshot.holds(linear), f"column {number}"
    assert Snapshot(linear).holds(linear)


def test_what_is_not_a_number_is_no_change() -> None:
    linear = nn.Linear(8, 8)
    linear.weight.data[0, 0] = torch.nan
    snapshot = Snapshot(linear)
    assert snapshot.holds(linear)
    assert not snapshot.holds(copy.deepcopy(linear))


def test_a_fingerprint_tells_what_a_look_does_not(backbone: Backbone) -> None:
    copies = OptimizedCopies()
    first = copies.get(backbone, None, CPU, weights="a")
    assert copies.get(backbone, None, CPU) is first
    assert copies.get(backbone, None, CPU, weights="a") is first
    assert copies.get(backbone, None, CPU, weights="b") is not first
