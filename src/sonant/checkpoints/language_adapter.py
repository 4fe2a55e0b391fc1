"""The adapter of one language: tensors in the layers of a model, and a CTC head."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import Head
from sonant.checkpoints.files import read_tensors, write_safetensors
from sonant.checkpoints.name_maps.hf import HF, HF_CTC
from sonant.checkpoints.parameter_names import grouped, read, theirs, write
from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.models import Backbone
from sonant.models.waveform_transformer import WaveformTransformerConfig

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class LanguageAdapter:
    """The parts of a model that belong to one language.

    Attributes:
        language: in MMS a code of ISO 639-3 such as "fra", in some cases with a script.
        layers: tensors in the layers, under the names of `sonant.models`.
        head: CTC head with vocabulary.
    """

    language: str
    layers: dict[str, Tensor]
    head: Head

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Tensors of layers and head."""
        return self.layers | self.head.tensors

    def cloned(self) -> "LanguageAdapter":
        """Return a copy of the tensors, as those of a model are overwritten when its language changes."""
        layers, head = (
            {name: tensor.clone() for name, tensor in own.items()} for own in (self.layers, self.head.tensors)
        )
        return LanguageAdapter(self.language, layers, Head(head, self.head.metadata))


def read_adapter(
    path: Path, config: WaveformTransformerConfig, *, prefix: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of the layers and of the head in a file of transformers.

    Args:
        config: of the model.
        prefix: of the names of the backbone's tensors.

    Raises:
        CheckpointMismatch: the tensors are not those of an adapter in each layer and of a head.
    """
    tensors = {name.removeprefix(prefix): tensor for name, tensor in read_tensors(path).items()}
    found = read(tensors, HF, {"ctc": HF_CTC})
    head = found.heads.get("ctc", {})
    expected, given = _shapes(config, head), _named(found.backbone, head)
    wrong = [name for name in expected.keys() & given.keys() if given[name] != expected[name]]
    missing = expected.keys() - given.keys()
    surplus = [*found.unknown, *(given.keys() - expected.keys())]
    if missing or surplus or wrong:
        parts = (("Missing", missing), ("Left over", surplus), ("Wrong shape", wrong))
        raise CheckpointMismatch(
            f"{path}: the tensors are not those of an adapter of this model, which has {config.num_layers} layers of "
            f"width {config.dim} and adapters of width {config.attention_adapter_dim}. "
            + " ".join(f"{title} ({len(names)}): {grouped(sorted(names))}." for title, names in parts if names)
            + " It belongs to another model, or is damaged."
        )
    return found.backbone, head


def _shapes(config: WaveformTransformerConfig, head: Mapping[str, Tensor]) -> Shapes:
    """Return the shape of every expected tensor, by name; `head` determines the number of tokens."""
    dim, width = config.dim, config.attention_adapter_dim or 0
    tokens = head["weight"].shape[0] if "weight" in head and head["weight"].ndim else 0
    of_layer = {
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "linear_1.weight": (width, dim),
        "linear_1.bias": (width,),
        "linear_2.weight": (dim, width),
        "linear_2.bias": (dim,),
    }
    layers: Shapes = {
        f"encoder.layers.{number}.adapter_layer.{name}": shape
        for number in range(config.num_layers)
        for name, shape in of_layer.items()
    }
    return layers | {"lm_head.weight": (tokens, config.adapter_dim or dim), "lm_head.bias": (tokens,)}


def _named(layers: Mapping[str, Tensor], head: Mapping[str, Tensor]) -> Shapes:
    """Return the shapes of tensors by their names in the file."""
    found = {theirs([name], HF)[0]: tensor for name, tensor in layers.items()}
    found |= {f"lm_head.{name}": tensor for name, tensor in head.items()}
    return {name: tuple(tensor.shape) for name, tensor in found.items()}


def write_adapter(path: Path, adapter: LanguageAdapter, *, prefix: str) -> None:
    """Write a file for transformers' `load_adapter`."""
    layers, head = write(adapter.layers, HF)[0], write(adapter.head.tensors, HF_CTC.rows)[0]
    write_safetensors(path, {f"{prefix}{name}": tensor for name, tensor in layers.items()} | head, {"format": "pt"})


@torch.no_grad()
def exchange_layers(backbone: Backbone, adapter: LanguageAdapter) -> dict[str, Tensor]:
    """Copy an adapter's tensors into a backbone, and return the previous ones.

    Raises:
        ConfigurationError: the backbone's layers have changed; it is not modified.
    """
    held = layers_of(backbone.state_dict())
    if {name: tensor.shape for name, tensor in held.items()} != {
        name: tensor.shape for name, tensor in adapter.layers.items()
    }:
        raise ConfigurationError(
            f"The adapter of {adapter.language!r} is for the layers that the model was loaded with, and they were "
            "changed since. Load the model again with that language."
        )
    before = {name: tensor.clone() for name, tensor in held.items()}
    for name, tensor in held.items():
        tensor.copy_(adapter.layers[name])
    return before


def layers_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the layers' adapters among those of a backbone."""
    return {name: tensor for name, tensor in state.items() if re.fullmatch(r"encoder\.layers\.\d+\.adapter\..+", name)}
