"""Recomputed blocks: the same gradients to the bit, with dropout and skipped layers too."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.layers.transformer import TransformerLayer
from sonant.models import BackboneConfig, Wav2Vec2Config, WavLMConfig, build
from sonant.training import Training, train
from sonant.training.recomputation import recomputed
from tests.shapes import TINY, conformer, sew, w2v_bert2
from tests.training.points import Regression, points

RANDOM = {"dropout": 0.2, "attention_dropout": 0.2, "activation_dropout": 0.1}


def gradients(model: nn.Module, speech: Packed) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    model.zero_grad()
    model.train()(speech, layers=[1, "last"]).last.square().sum().backward()
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize(
    "config",
    [
        WavLMConfig(**TINY, **RANDOM, layerdrop=0.5),
        Wav2Vec2Config(**TINY, pre_norm=True, extractor_norm="layer", conv_bias=True, dropout=0.0, layerdrop=0.0),
        w2v_bert2(),
        conformer(),
        sew(),
    ],
)
def test_gradients_are_the_same_to_the_bit(config: BackboneConfig) -> None:
    torch.manual_seed(0)
    model = build(config)
    speech = Packed.pack([torch.randn(9_000), torch.randn(6_000)])
    plain = gradients(model, speech)
    with recomputed(model):
        again = gradients(model, speech)
    assert plain.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in plain.items())
    assert not any("forward" in vars(module) for module in model.modules())


def test_batch_norms_count_each_batch_once() -> None:
    torch.manual_seed(0)
    model, speech = build(conformer()), Packed.pack([torch.randn(9_000)])
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients(model, speech)
    once = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(fresh)
    with recomputed(model):
        gradients(model, speech)
    assert not all(torch.equal(tensor, fresh[name]) for name, tensor in once.items())
    assert all(torch.equal(tensor, once[name]) for name, tensor in model.state_dict().items())


def test_only_the_inputs_of_a_block_are_kept() -> None:
    model = build(WavLMConfig(**TINY, layerdrop=0.0))
    calls = []
    for module in model.modules():
        if isinstance(module, TransformerLayer):
            module.attention.register_forward_hook(lambda *_: calls.append(1))
    with recomputed(model):
        gradients(model, Packed.pack([torch.randn(9_000)]))
    assert len(calls) == 2 * model.num_layers


def test_a_model_without_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no blocks of a Transformer"):
        train(Regression(), points, Training(steps=2, gradient_checkpointing=True), tmp_path)
