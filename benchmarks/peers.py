"""transformers' models with our weights: what sonant is compared with, in tests and in benchmarks."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from sonant.checkpoints import Checkpoint
from sonant.checkpoints.hf_config import write_config
from sonant.checkpoints.hf_layouts import LAYOUTS
from sonant.checkpoints.keys import write
from sonant.layers.positions import ConvPositions
from sonant.models import W2vBERT2, WaveformTransformer

Model = WaveformTransformer | W2vBERT2
M = TypeVar("M", WaveformTransformer, W2vBERT2)


def twin(backbone: Model) -> PreTrainedModel:
    """transformers' model of the same shape; it shares the weights in memory, so that neither costs the other."""
    checkpoint = Checkpoint(backbone.config, backbone.state_dict())
    with torch.device("meta"):
        peer = AutoModel.from_config(AutoConfig.for_model(**write_config(checkpoint, None)))
    state, homeless = write(checkpoint.backbone_state, LAYOUTS[checkpoint.family].rows)
    if homeless:
        raise ValueError(f"transformers has no place for {homeless}")
    peer.load_state_dict(state, assign=True)
    return peer.eval()


@torch.no_grad()
def peer_states(peer: PreTrainedModel, waveforms: Tensor, mask: Tensor | None = None) -> dict[int | str, Tensor]:
    """Every state of (batch, samples), numbered as ours: (batch, frames, dim); `mask` is true at samples of speech.

    w2v-BERT 2.0 takes features (batch, frames, 160) instead, and a mask of frames.
    """
    output: BaseModelOutput = peer(waveforms, attention_mask=mask, output_hidden_states=True)
    return {**dict(enumerate(output.hidden_states)), "last": output.last_hidden_state}


def relative_error(given: Tensor, expected: Tensor) -> float:
    """The norm of the difference over the norm of what was expected."""
    return float((given.double() - expected.double()).norm() / expected.double().norm())


@torch.no_grad()
def exaggerate(backbone: M, seed: int = 0) -> M:
    """Random weights that leave no part without effect, where fresh ones hardly attend and hardly heed positions.

    The logits of attention have a standard deviation of about 3, the position bias of as much; norms and biases are
    not the identity.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: Tensor, std: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * std)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for name, parameter in backbone.named_parameters():
        kind = name.rpartition(".")[2]
        if kind == "bias":
            normal(parameter, 0.2)
        elif "norm." in name or kind == "weight_g":
            uniform(parameter, 0.5, 1.5)
        elif kind == "weight_v" or name.endswith("relative_keys.weight"):
            normal(parameter, 1.0)
        elif kind == "scale":
            uniform(parameter, 0.5, 2.0)
        elif name == "encoder.relative_positions.weight":
            normal(parameter, 1.5)
        elif ".query." in name or ".key." in name:
            normal(parameter, math.sqrt(3 / backbone.dim))
        elif isinstance(backbone.get_submodule(name.rpartition(".")[0]), nn.Linear):
            normal(parameter, parameter.shape[1] ** -0.5)
    positions = getattr(backbone.encoder, "positions", None)
    if isinstance(positions, ConvPositions):
        gains = positions.weight_g
        gains.mul_(math.sqrt(backbone.dim / gains.numel()))  # the positions come out as large as the frames
    return backbone.eval()
