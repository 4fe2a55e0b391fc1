"""Models to measure: published architectures with random weights, or checkpoints."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonant.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sonant.errors import ConfigurationError
from sonant.layers.conformer import ConformerLayer
from sonant.layers.positions import WeightNormConv
from sonant.layers.transformer import FeedForward, TransformerLayer
from sonant.models import Backbone, BackboneConfig, MaskableBackbone, WavLMConfig, build
from sonant.models.catalog import find

SEED = 0
TINY = WavLMConfig(conv_channels=(32,) * 7, dim=64, num_layers=2, num_heads=4, feed_forward_dim=128)  # for trials
OUTLIERS = ":outliers"  # suffix of a name: a few channels of the weights are far larger than the others
M = TypeVar("M", bound=Backbone)


@dataclass(frozen=True)
class Subject:
    """A model to be measured.

    Attributes:
        name: as requested.
        title: for tables.
        config: architecture.
        source: from which every process loads it; processes that map the same file share memory.
    """

    name: str
    title: str
    config: BackboneConfig
    source: Path | str


def known(name: str) -> tuple[str, BackboneConfig]:
    """Return title and configuration of a model of the catalog or "tiny", optionally with ":outliers"."""
    if name.endswith(OUTLIERS):
        title, config = known(name.removesuffix(OUTLIERS))
        return f"{title}, outliers", config
    if name == "tiny":
        return "tiny", TINY
    card = find(name)
    return card.title, card.config


def subject(name: str, folder: Path, *, published: bool = False, num_layers: int | None = None) -> Subject:
    """Prepare a model for loading by worker processes.

    Args:
        name: of the catalog, or "tiny", optionally with ":outliers"; or the path of a checkpoint.
        folder: for random weights.
        published: use published weights instead of random ones.
        num_layers: number of layers to build; None: all.
    """
    plain, altered = name.removesuffix(OUTLIERS), name.endswith(OUTLIERS)
    weights: dict[str, Tensor] | None = None
    if plain != "tiny" and (published or Path(name).exists()):
        checkpoint = load_checkpoint(plain)
        if num_layers is None and not altered:
            return Subject(name, Path(name).name if Path(name).exists() else find(name).title, checkpoint.config, name)
        title, config = name, checkpoint.config
        if num_layers is None:
            weights = checkpoint.backbone_state
    else:
        title, config = known(name)
    if num_layers is not None:
        config = replace(config, num_layers=num_layers)
    path = folder / f"{re.sub('[/:]', '-', name)}-{config.num_layers}"
    if not path.exists():
        weights = random_weights(config) if weights is None else weights
        state = with_outliers(config, weights) if altered else weights
        save_checkpoint(path, Checkpoint(config, state), to="sonant")
    return Subject(name, title, config, path)


def random_weights(config: BackboneConfig) -> dict[str, Tensor]:
    """Return seeded random weights, modified by `exaggerate` if the family has Transformer layers."""
    torch.manual_seed(SEED)
    backbone = build(config)
    return (exaggerate(backbone) if isinstance(backbone, MaskableBackbone) else backbone).state_dict()


@torch.no_grad()
def with_outliers(config: BackboneConfig, weights: dict[str, Tensor], seed: int = SEED) -> dict[str, Tensor]:
    """Return weights with three channels of every layer scaled by 10 to 30, like the outliers of trained Transformers.

    In turn by layer: the gains of the norms, the rows of the first linear layer of the feed-forward block, those of the
    second.
    """
    backbone = build(config)
    if not isinstance(backbone, MaskableBackbone):
        raise ConfigurationError(
            f"{OUTLIERS!r} was given behind a model without Transformer layers ({type(backbone).__name__}), and only "
            "their channels have such outliers. Leave it out."
        )
    backbone.load_state_dict(weights, strict=False)  # a file may lack the mask embedding
    generator = torch.Generator().manual_seed(seed)
    layers = [part for part in backbone.modules() if isinstance(part, TransformerLayer | ConformerLayer)]
    for number, layer in enumerate(layers):
        norms = [part for part in layer.children() if isinstance(part, nn.LayerNorm)]
        blocks = [part for part in layer.modules() if isinstance(part, FeedForward)]
        parts = (norms, [block.inner for block in blocks], [block.outer for block in blocks])[number % 3]
        for part in parts:
            rows = torch.randperm(len(part.weight), generator=generator)[:3]
            part.weight[rows] *= 10 + 20 * torch.rand(3, *[1] * (part.weight.ndim - 1), generator=generator)
    return backbone.state_dict()


@torch.no_grad()
def exaggerate(backbone: M, seed: int = SEED) -> M:  # noqa: C901  a line for each kind of tensor
    """Set random weights with which every part matters; at initialization, attention and positions have little effect.

    Logits of attention and the position bias have a standard deviation of about 3; norms and biases are not trivial.
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
    for name, buffer in backbone.named_buffers():
        if name.endswith("running_mean"):  # of a batch norm
            normal(buffer, 0.5)
        elif name.endswith("running_var"):
            uniform(buffer, 0.5, 2.0)
    positions = getattr(getattr(backbone, "encoder", None), "positions", None)
    if isinstance(positions, WeightNormConv):
        gains = positions.weight_g
        gains.mul_(math.sqrt(backbone.dim / gains.numel()))  # so that positions are as large as frames
    return backbone.eval()


def names(models: Sequence[str]) -> list[str]:
    """Return the model names. Raises UnknownName."""
    for name in models:
        if not Path(name).exists():
            known(name)
    return list(models)
