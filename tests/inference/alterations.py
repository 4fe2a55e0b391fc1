"""What people do to a model: each alters its states, and what was altered is what must run."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, weight_norm

from sonant.layers.packed import Packed
from sonant.models import Backbone, Encoded


class Adapted(nn.Module):
    """A linear layer with a product of low rank beside it, as LoRA libraries put it in the place of the layer."""

    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base_layer = base
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.lora_B(self.lora_A(self.dropout(x)))


class Doubled(nn.Linear):
    """A linear layer of another class, as quantized ones are."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Halved(nn.Module):
    """In the place of a dropout."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def adapt(path: str) -> Callable[[Backbone], None]:
    def alter(model: Backbone) -> None:
        put(model, path, Adapted(model.get_submodule(path)))

    return alter


def put(model: Backbone, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def hook(path: str) -> Callable[[Backbone], None]:
    """A forward hook that changes what a module gives, in every module at that path."""

    def larger(_module: nn.Module, _given: Any, made: Any) -> Any:
        return changed(made)

    return at(path, lambda module: module.register_forward_hook(larger))


def pre_hook(path: str) -> Callable[[Backbone], None]:
    return at(path, lambda module: module.register_forward_pre_hook(lambda _, given: (changed(given[0]), *given[1:])))


def changed(value: Any) -> Any:
    """What is positive in frames half as large again: a norm does not undo it."""
    if isinstance(value, tuple):
        return tuple(changed(item) for item in value)
    if isinstance(value, dict):
        return {key: changed(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value + 0.5 * value.relu()
    if isinstance(value, Packed):
        return value.with_values(changed(value.values))
    if isinstance(value, Encoded):
        return Encoded(changed(value.hidden_states), changed(value.last), value.lengths, value.frame_rate)
    return value


def swap_forward(path: str) -> Callable[[Backbone], None]:
    def alter(model: Backbone) -> None:
        module = model.get_submodule(path)
        before = module.forward
        module.forward = lambda *given, **named: changed(before(*given, **named))

    return alter


def at(path: str, act: Callable[[Any], object]) -> Callable[[Backbone], None]:
    def alter(model: Backbone) -> None:
        act(model.get_submodule(path))

    return alter


def rescale_direction(linear: nn.Module) -> None:
    """What a parametrization keeps of a weight need not be the weight."""
    with torch.no_grad():
        linear.parametrizations.weight.original0.mul_(1.5)


def bias_in(conv_module: Any) -> None:
    old = conv_module.inner
    conv_module.inner = nn.Linear(old.in_features, old.out_features)


def keep_layers(*numbers: int) -> Callable[[Backbone], None]:
    return lambda model: setattr(
        model.encoder, "layers", nn.ModuleList([model.encoder.layers[number] for number in numbers])
    )


def subclass(model: Backbone) -> None:
    kind = type(model)
    model.__class__ = type("Larger", (kind,), {"forward": lambda self, *a, **k: changed(kind.forward(self, *a, **k))})


FIRST, BLOCK = "encoder.layers.0", "encoder.layers.1"
OF_TRANSFORMERS: dict[str, Callable[[Backbone], object]] = {
    **{f"adapter in {name}": adapt(f"{BLOCK}.attention.{name}") for name in ("query", "key", "value", "output")},
    **{f"adapter in {name}": adapt(f"{BLOCK}.feed_forward.{name}") for name in ("inner", "outer")},
    "adapter in the projection": adapt("projection.linear"),
    "adapter in the gate": adapt(f"{BLOCK}.attention.gate.linear"),
    **{
        f"hook on {path or 'the model'}": hook(path)
        for path in (
            "",
            "extractor",
            "extractor.layers.0",
            "extractor.layers.1.conv",
            "projection",
            "projection.norm",
            "encoder",
            "encoder.positions",
            "encoder.relative_positions",
            FIRST,
            f"{BLOCK}.attention",
            f"{BLOCK}.attention.gate",
            f"{BLOCK}.attention.key",
            f"{BLOCK}.attention_norm",
            f"{BLOCK}.feed_forward",
            f"{BLOCK}.feed_forward.inner",
            f"{BLOCK}.feed_forward.dropout",
        )
    },
    "hook before a block": pre_hook(BLOCK),
    "hook before a linear layer": pre_hook(f"{BLOCK}.attention.value"),
    "another class of linear layer": lambda model: put(model, f"{BLOCK}.attention.query", Doubled(32, 32)),
    "no dropout but": lambda model: put(model, f"{BLOCK}.feed_forward.dropout", Halved()),
    "parametrized by weight norm": at(
        f"{BLOCK}.feed_forward.inner", lambda linear: rescale_direction(parametrizations.weight_norm(linear))
    ),
    "parametrized as orthogonal": at(f"{BLOCK}.attention.query", parametrizations.orthogonal),
    "weight norm of old": at(f"{BLOCK}.feed_forward.inner", lambda linear: weight_norm(linear).weight_g.data.mul_(1.5)),
    "pruned": at(f"{BLOCK}.attention.output", lambda linear: prune.l1_unstructured(linear, "weight", 0.5)),
    "another forward of a block": swap_forward(BLOCK),
    "another forward of an attention": swap_forward(f"{BLOCK}.attention"),
    "another forward of a linear layer": swap_forward(f"{BLOCK}.feed_forward.outer"),
    "another forward of the positions": swap_forward("encoder.positions"),
    "another forward of the model": swap_forward(""),
    "another class of model": subclass,
    "another activation": at(f"{BLOCK}.feed_forward", lambda block: setattr(block, "activation", "relu")),
    "another activation of a convolution": at(
        "extractor.layers.2", lambda layer: setattr(layer, "activation", torch.tanh)
    ),
    "another eps": at(f"{BLOCK}.attention_norm", lambda norm: setattr(norm, "eps", 1.0)),
    "a norm without weights": lambda model: put(
        model, f"{BLOCK}.attention_norm", nn.LayerNorm(32, elementwise_affine=False)
    ),
    "a linear layer without bias": lambda model: put(model, f"{BLOCK}.attention.key", nn.Linear(32, 32, bias=False)),
    "fewer layers": keep_layers(0, 1),
    "a layer twice": keep_layers(0, 1, 1, 0),
    "other order": keep_layers(3, 2, 1, 0),
}
OF_CONFORMERS: dict[str, Callable[[Backbone], object]] = {
    "adapter in a convolution module": adapt(f"{BLOCK}.conv.outer"),
    "a bias where there is none": at(f"{BLOCK}.conv", bias_in),
    "hook on a convolution": hook(f"{BLOCK}.conv.depthwise"),
    "hook on relative keys": hook(f"{BLOCK}.attention"),
    "hook on mel energies": hook("extractor"),
}
OF_WAVEFORM_CONFORMERS: dict[str, Callable[[Backbone], object]] = {
    "adapter in the keys of distances": adapt(f"{BLOCK}.attention.position"),
    "adapter beside relative positions": adapt(f"{BLOCK}.attention.query"),
    "hook on the sinusoids": hook("encoder.positions"),
    "hook on a batch norm": hook(f"{BLOCK}.conv.batch_norm"),
    "another bias of the content": at(f"{BLOCK}.attention", lambda part: part.content_bias.data.add_(1.0)),
    "other running statistics": at(f"{BLOCK}.conv.batch_norm", lambda norm: norm.running_mean.add_(1.0)),
    "a batch norm without them": lambda model: put(
        model, f"{BLOCK}.conv.batch_norm", nn.BatchNorm1d(32, track_running_stats=False)
    ),
    "another activation of a convolution module": at(
        f"{BLOCK}.conv", lambda module: setattr(module, "activation", "relu")
    ),
    "another norm at the end": lambda model: put(model, "encoder.norm", nn.LayerNorm(32, eps=1.0)),
}
OF_CONVOLUTIONS: dict[str, Callable[[Backbone], object]] = {
    "hook on a causal layer": hook("context.layers.1"),
    "hook on a norm": hook("context.layers.0.norm"),
    "parametrized convolution": at(
        "context.layers.0.conv", lambda conv: rescale_direction(parametrizations.weight_norm(conv))
    ),
}
