"""Tensors are loaded if all names and shapes agree, and otherwise none is, and the differences are named."""

import pytest
import torch
from torch import Tensor, nn

from sonant.errors import CheckpointMismatch
from sonant.layers.loaded_tensors import MOST_SHOWN, load_tensors


def own() -> dict[str, Tensor]:
    return dict(nn.Linear(2, 3).named_parameters())


def test_values_are_those_that_are_given() -> None:
    given = {"weight": torch.rand(3, 2), "bias": torch.rand(3)}
    layer = own()
    load_tensors(layer, given, what="A head", cure="Fetch it.")
    assert all(torch.equal(layer[name], tensor) for name, tensor in given.items())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weight": torch.ones(3, 2)}, "bias is missing, expected (3,)"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(3)}, "weight is (2, 3), expected (3, 2)"),
        (
            {"weight": torch.ones(3, 2), "bias": torch.ones(3), "scale": torch.ones(1)},
            "scale is (1,), expected no such tensor",
        ),
    ],
)
def test_others_are_refused_by_name_and_nothing_is_loaded(given: dict[str, Tensor], told: str) -> None:
    layer = own()
    before = {name: tensor.clone() for name, tensor in layer.items()}
    with pytest.raises(CheckpointMismatch) as error:
        load_tensors(layer, given, what="A head", cure="Fetch it.")
    assert str(error.value) == f"A head has other tensors than its settings describe: {told}. Fetch it."
    assert all(torch.equal(layer[name], tensor) for name, tensor in before.items())


def test_of_many_differences_some_are_shown() -> None:
    given = own() | {f"extra{number}": torch.ones(1) for number in range(MOST_SHOWN + 2)}
    with pytest.raises(CheckpointMismatch, match=r"extra7 is .*; and 2 more\. Fetch"):
        load_tensors(own(), given, what="A head", cure="Fetch it.")
