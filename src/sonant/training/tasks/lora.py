"""Low-rank adapters (LoRA), trained in place of the weights of a model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sonant.errors import ConfigurationError, UnknownName
from sonant.layers.low_rank import LowRankLinear
from sonant.models import Backbone

PARTS = (".lora_A", ".lora_B")
_IN_BLOCK = re.compile(r".*\.layers\.\d+\.(?P<inside>.+)")


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Settings of low-rank adapters; each is a product BA of two narrow matrices, added to the weights of a layer.

    Attributes:
        rank: width of the product, peft's `r`; 0: no adapters.
        alpha: the product is multiplied by alpha / rank, so that another rank needs no other learning rate.
        modules: linear layers of each block that get an adapter, by name or by a part of it: "attention.query",
            "attention" for all of them in the attention, "feed_forward".
        dropout: of the inputs of A.
        save: "merged" adds the products to the weights of the saved model; "apart" saves the adapters and the head
            alone, as a folder of peft that names the model.
    """

    rank: int = 0
    alpha: float = 16.0
    modules: tuple[str, ...] = ("attention.query", "attention.value")
    dropout: float = 0.0
    save: Literal["merged", "apart"] = "merged"

    def __post_init__(self) -> None:
        if self.rank and not self.modules:
            raise ConfigurationError(
                f"lora.rank={self.rank} was given with lora.modules=[], so that nothing would get an adapter. Name "
                "linear layers, such as lora.modules=[attention], or set lora.rank=0."
            )


def add_adapters(backbone: Backbone, lora: LoRA) -> None:
    """Add adapters to linear layers of the blocks of a model, in place.

    Raises:
        ConfigurationError: the model has no such blocks.
        UnknownName: no layer has one of the names.
    """
    layers = {
        name: found["inside"]
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear) and (found := _IN_BLOCK.fullmatch(name))
    }
    if not layers:
        raise ConfigurationError(
            f"lora.rank={lora.rank} was given, and a {type(backbone).__name__} has no blocks with linear layers that "
            "could get adapters. Set lora.rank=0, and frozen=extractor to train its weights."
        )
    for wanted in lora.modules:
        if not any(_names(wanted, inside) for inside in layers.values()):
            raise UnknownName("linear layer for LoRA", wanted, sorted(set(layers.values())))
    for name, inside in layers.items():
        if any(_names(wanted, inside) for wanted in lora.modules):
            linear = backbone.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            adapted = LowRankLinear(linear, lora.rank, scale=lora.alpha / lora.rank, dropout=lora.dropout)
            backbone.set_submodule(name, adapted)


def adapters_in(backbone: Backbone) -> dict[str, Tensor]:
    """Return the tensors of the adapters: `lora_A` and `lora_B` behind the name of each layer."""
    return {name: tensor for name, tensor in backbone.state_dict().items() if name.endswith(PARTS)}


def merge_adapters(backbone: Backbone) -> None:
    """Replace each layer with an adapter by a plain one of the same outputs, in place."""
    for name, layer in list(_adapted(backbone)):
        backbone.set_submodule(name, layer.merged())


def _adapted(backbone: Backbone) -> Iterator[tuple[str, LowRankLinear]]:
    return ((name, module) for name, module in backbone.named_modules() if isinstance(module, LowRankLinear))


def _names(wanted: str, inside: str) -> bool:
    """Return True if a name is that of a layer or of a part with it; "feed_forward" is "feed_forward_1" as well."""
    return re.search(rf"(?<![^.]){re.escape(wanted)}(_\d+)?(?![^.])", inside) is not None
