"""Merging of LoRA into weights: W + scale·BA, without the package peft.

Sources: LoRA (2106.09685), rsLoRA (2312.03732), DoRA (2402.09353), and the names that peft 0.2 to 0.21 writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.files import read_json
from sonant.checkpoints.folder import ADAPTER_CONFIG
from sonant.checkpoints.parameter_names import grouped
from sonant.errors import CheckpointMismatch, ConfigurationError, CorruptedCheckpoint, UnsupportedCheckpoint

ROOT = "base_model.model."  # prefix of all names of peft
SCALE = "lora_scale"  # in overrides: the factor of BA, without adapter_config.json
PARTS = ("lora_A", "lora_B", "lora_B.bias", "lora_magnitude_vector")
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_[A-Za-z_]+)(?:\.(?P<adapter>(?!weight$|bias$)\w+))?(?:\.(?P<kind>weight|bias))?"
)
_SAVED = re.compile(r"\.(modules_to_save\.(?P<adapter>\w+)|original_module)(?=\.)")

# Settings of adapter_config.json that must be empty: with them peft does not compute W + scale·BA.
REFUSED = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "megatron_config"),
    *("monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora"),
)
# Initializations that leave the base unchanged; others move a part of it into the adapter.
BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
CURE = "Merge it with peft, PeftModel.from_pretrained(...).merge_and_unload().save_pretrained(folder), and load that."


@dataclass(frozen=True)
class Scaling:
    """The factors of the products BA, by module.

    Attributes:
        alpha: of modules that are not in `alphas`.
        alphas: by suffix of a module's name.
        root: divide by the square root of the rank (rsLoRA), not by the rank.
        fixed: the factor; overrides the others.
    """

    alpha: float = 1.0
    alphas: Mapping[str, float] | None = None
    root: bool = False
    fixed: float | None = None

    def of(self, module: str, rank: int) -> float:
        if self.fixed is not None:
            return self.fixed
        ends = (alpha for end, alpha in (self.alphas or {}).items() if f".{module}".endswith(f".{end}"))
        return next(ends, self.alpha) / (rank**0.5 if self.root else rank)


def scaling_in(config: Mapping[str, Any], source: object) -> Scaling:
    """Return the scaling in an adapter_config.json.

    Raises:
        UnsupportedCheckpoint: no LoRA, or a variant that adds something other than BA.
        CorruptedCheckpoint: the scaling is missing or invalid.
    """
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UnsupportedCheckpoint(f"{source}: its adapter is of the kind {kind!r}; sonant merges LORA. {CURE}")
    for name in REFUSED:
        if config.get(name):
            raise UnsupportedCheckpoint(
                f"{source}: adapter_config.json says {name}={config[name]!r:.80}, which is more than a product that is "
                f"added to the weights. {CURE}"
            )
    beginning = config.get("init_lora_weights")
    if beginning not in BEGINNINGS:
        raise UnsupportedCheckpoint(
            f"{source}: adapter_config.json says init_lora_weights={beginning!r}, which takes a part of the base into "
            f"the adapter. {CURE}"
        )
    alpha: Any = config.get("lora_alpha")
    alphas = config.get("alpha_pattern") or {}
    others = alphas.values() if isinstance(alphas, dict) else [None]
    if type(alpha) not in (int, float) or not all(type(other) in (int, float) for other in others):
        raise CorruptedCheckpoint(
            f"{source}: adapter_config.json says lora_alpha={alpha!r} and alpha_pattern={alphas!r:.80}; expected a "
            "number and numbers by module. The file is damaged."
        )
    ends = {str(end).strip("^$").replace("\\.", "."): value for end, value in alphas.items()}
    strange = [end for end in ends if not re.fullmatch(r"[\w.]+", end)]
    if strange:
        raise UnsupportedCheckpoint(
            f"{source}: alpha_pattern has the expression {strange[0]!r}; sonant reads names of modules. {CURE}"
        )
    return Scaling(float(alpha), ends, bool(config.get("use_rslora")))


def has_lora(names: Mapping[str, Tensor]) -> bool:
    """Return whether there are parts of a LoRA among tensors."""
    return any(".lora_" in name for name in names)


def module_of(name: str) -> str | None:
    """Return the module of a LoRA's part, given the part's name; None for other names."""
    found = _PART.fullmatch(name)
    return found["module"] if found else None


def without_saved(tensors: Mapping[str, Tensor], source: object) -> dict[str, Tensor]:
    """Replace modules that were trained whole by their trained copies (peft's modules_to_save)."""
    kept: dict[str, Tensor] = {}
    adapters: set[str] = set()
    for name, tensor in tensors.items():
        found = _SAVED.search(name)
        if found and found["adapter"] is None:
            continue  # the original
        adapters |= {found["adapter"]} if found else set()
        kept[_SAVED.sub("", name).replace(".base_layer.", ".")] = tensor
    _check_single(adapters, source)
    return kept


def _check_single(adapters: set[str], source: object) -> None:
    if len(adapters) > 1:
        raise CheckpointMismatch(
            f"{source} holds several adapters, {', '.join(sorted(adapters))}, and only one can be merged. Save the one "
            "that is meant alone."
        )


def merged(
    tensors: Mapping[str, Tensor], adapter: Mapping[str, Tensor], scaling: Scaling, source: object
) -> tuple[dict[str, Tensor], list[str]]:
    """Return tensors with a LoRA merged into them, and the names of its modules that they lack.

    Args:
        adapter: its parts, under the tensors' names with .lora_A, .lora_B etc. inserted; its other tensors replace
            those of the same name.
    """
    modules: dict[str, dict[str, Tensor]] = {}
    adapters: set[str] = set()
    result = dict(tensors)
    for name, tensor in without_saved(adapter, source).items():
        found = _PART.fullmatch(name)
        if found is None:
            result[name] = tensor
            continue
        adapters |= {found["adapter"]} if found["adapter"] else set()
        part = f"{found['part']}.bias" if found["kind"] == "bias" else found["part"]
        if part not in PARTS:
            raise UnsupportedCheckpoint(f"{source}: {name} is a part of an adapter that sonant does not know. {CURE}")
        modules.setdefault(found["module"], {})[part] = tensor
    _check_single(adapters, source)
    absent = [module for module in modules if f"{module}.weight" not in result]
    for module, parts in modules.items():
        if module in absent:
            continue
        weight = f"{module}.weight"
        result[weight] = _adapted(result[weight], parts, scaling, module, source)
        if "lora_B.bias" in parts:
            factor = scaling.of(module, parts["lora_A"].shape[0])
            bias = result.get(f"{module}.bias", torch.zeros(len(result[weight])))
            result[f"{module}.bias"] = (bias.float() + factor * parts["lora_B.bias"].float()).to(bias.dtype)
    return result, absent


def _adapted(weight: Tensor, parts: Mapping[str, Tensor], scaling: Scaling, module: str, source: object) -> Tensor:
    """Return W + scale·BA of a linear layer (outputs, inputs) or convolution (outputs, inputs, steps), in float32."""
    a, b = parts.get("lora_A"), parts.get("lora_B")
    if a is None or b is None or a.ndim != weight.ndim or b.ndim != weight.ndim:
        raise CheckpointMismatch(f"{source}: the LoRA of {module} lacks one of its two matrices. {CURE}")
    rank = a.shape[0]
    shape = (b.shape[0], *a.shape[1:])
    if b.shape[1] != rank or shape != tuple(weight.shape) or any(size != 1 for size in b.shape[2:]):
        raise CheckpointMismatch(
            f"{source}: the LoRA of {module} has the shapes {tuple(a.shape)} and {tuple(b.shape)}, the weights "
            f"{tuple(weight.shape)}. Either the base is another model, or the layer is divided into groups, which peft "
            "cannot merge either."
        )
    product = (b.float().reshape(-1, rank) @ a.float().reshape(rank, -1)).reshape(shape)
    adapted = weight.float() + scaling.of(module, rank) * product
    if "lora_magnitude_vector" in parts:  # DoRA: the norm of each row is a separate parameter
        if weight.ndim != 2:
            raise UnsupportedCheckpoint(f"{source}: the DoRA of {module} is that of a convolution. {CURE}")
        lengths = torch.linalg.vector_norm(adapted, dim=1, keepdim=True)
        adapted = adapted * parts["lora_magnitude_vector"].float().reshape(-1, 1) / lengths
    return adapted.to(weight.dtype)


def merged_inside(tensors: Mapping[str, Tensor], scaling: Scaling | None, source: object) -> dict[str, Tensor]:
    """Merge a LoRA that was saved among the weights.

    Raises:
        CheckpointMismatch: the scaling or a part is missing.
    """
    plain = without_saved(tensors, source)
    adapter = {name: tensor for name, tensor in plain.items() if module_of(name)}
    if scaling is None:
        raise CheckpointMismatch(
            f"{source} holds a LoRA that is not merged into the weights ({grouped(adapter)}), and no "
            "adapter_config.json beside it says how it is scaled. Put that file there, or give the factor, lora_alpha "
            f"/ r (with rsLoRA lora_alpha / sqrt(r)): overrides={{{SCALE!r}: 2.0}}. Better, where it was trained: "
            "model.merge_and_unload(), and save that."
        )
    result, absent = merged({name: t for name, t in plain.items() if name not in adapter}, adapter, scaling, source)
    if absent:
        if len(absent) == len({module_of(name) for name in adapter}):
            raise CheckpointMismatch(
                f"{source} holds a LoRA without the model that it adapts. Give its folder, with adapter_config.json "
                "and adapter_model.safetensors in it: they name the model, and how to add the LoRA to it."
            )
        raise CheckpointMismatch(f"{source}: weights are missing of the layers with a LoRA {grouped(absent)}.")
    return result


def with_lora_merged(
    weights: dict[str, Tensor], folder: Path, overrides: Mapping[str, Any] | None, source: object
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Merge a LoRA that was saved among the weights; return the weights and the remaining overrides.

    The scaling is that of `overrides`, else of the adapter_config.json in the folder.
    """
    rest = dict(overrides or {})
    if not has_lora(weights):
        return weights, rest
    factor, scaling = rest.pop(SCALE, None), None
    if factor is not None:
        if not isinstance(factor, int | float) or isinstance(factor, bool):
            raise ConfigurationError(f"{SCALE}={factor!r} was given in overrides; expected a number, such as 2.0.")
        scaling = Scaling(fixed=float(factor))
    elif (folder / ADAPTER_CONFIG).is_file():
        scaling = scaling_in(read_json(folder / ADAPTER_CONFIG), source)
    return merged_inside(weights, scaling, source), rest
