"""Writing of adapters (LoRA) as folders of peft, apart from the model that they adapt."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.files import read_json, write_json, write_safetensors
from sonant.checkpoints.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, PREPROCESSORS, replacing_model
from sonant.checkpoints.hf import class_of_head, preprocessor_settings
from sonant.checkpoints.hf_config import is_known, write_config
from sonant.checkpoints.hf_heads import head_maps_of
from sonant.checkpoints.location import exists, locate, shipped
from sonant.checkpoints.lora import ROOT
from sonant.checkpoints.lora_folder import BASE_PRINT, base_print, is_lora_folder
from sonant.checkpoints.parameter_names import write
from sonant.checkpoints.sonant_folder import SONANT_TYPE
from sonant.checkpoints.tokenizer_files import write_tokenizer
from sonant.errors import ConfigurationError

_IN_LAYER = re.compile(r".*\.layers\.\d+\.(?P<inside>.+)")


def check_base(source: str, family: str, kind: str) -> None:
    """Raise ConfigurationError unless adapters of a model and a head of this kind can be kept apart from it."""
    folder = locate(source, revision=None, local_files_only=False).path
    theirs = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    fits = family in LAYOUTS and kind in LAYOUTS[family].classes
    if not fits or is_lora_folder(folder) or not is_known(theirs) or theirs["model_type"] == SONANT_TYPE:
        raise ConfigurationError(
            f"Adapters are kept apart from models in a folder of transformers, which has a class for the head, and "
            f"{source} (a {family}) is none. Merge them into the weights (lora.save=merged), or convert the model to "
            "such a folder first: sonant convert MODEL FOLDER --to hf."
        )


def save_lora(
    folder: Path,
    checkpoint: Checkpoint,
    adapters: Mapping[str, Tensor],
    *,
    base: str,
    base_state: Mapping[str, Tensor],
    alpha: float,
    dropout: float,
) -> None:
    """Write adapters and a head as a folder of peft, which names the model that they adapt.

    Args:
        folder: gets adapter_config.json, adapter_model.safetensors, and config.json and other files of the adapted
            model, but not its weights.
        checkpoint: the adapted model, with one head.
        adapters: by sonant's names, `lora_A` (rank, inputs) and `lora_B` (outputs, rank) of each layer.
        base: the model, as `load_checkpoint` takes it; a relative path is made absolute.
        base_state: its tensors, as in `Checkpoint.backbone_state`, of which the adapters keep a fingerprint.
    """
    layout = LAYOUTS[checkpoint.family]
    kind, head = next(iter(checkpoint.heads.items()))
    tensors, modules, rank = {}, [], 0
    for name, tensor in adapters.items():
        module, _, part = name.rpartition(".")
        weight = f"{module}.weight"
        ((theirs, written),) = write({weight: checkpoint.backbone_state[weight]}, layout.rows)[0].items()
        as_theirs = tensor[..., None] if written.ndim == 3 else tensor  # a matrix that is a convolution there
        inside = theirs.removesuffix(".weight")
        tensors[f"{ROOT}{layout.prefix}{inside}.{part}.weight"] = as_theirs.contiguous()
        modules.append(found["inside"] if (found := _IN_LAYER.fullmatch(inside)) else inside)
        rank = len(tensor) if part == "lora_A" else rank
    of_head = write(head.tensors, head_maps_of(layout)[kind].rows)[0]
    tensors |= {f"{ROOT}{name}": tensor for name, tensor in of_head.items()}
    config = write_config(checkpoint, class_of_head(checkpoint))
    with replacing_model(folder) as draft:
        write_safetensors(draft / ADAPTER_WEIGHTS[0], tensors, {"format": "pt", BASE_PRINT: base_print(base_state)})
        write_json(draft / CONFIG, config)
        write_json(draft / PREPROCESSORS[0], preprocessor_settings(checkpoint))
        if kind == "ctc":
            write_tokenizer(draft, head)
        write_json(draft / ADAPTER_CONFIG, _peft_config(base, config, modules, of_head, rank, alpha, dropout))


def _peft_config(
    base: str,
    config: Mapping[str, Any],
    modules: list[str],
    of_head: Mapping[str, Tensor],
    rank: int,
    alpha: float,
    dropout: float,
) -> dict[str, Any]:
    """Return the contents of adapter_config.json."""
    is_local = shipped(base) is None and exists(Path(base).expanduser())
    name = config["model_type"].replace("-", "_")
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": str(Path(base).expanduser().resolve()) if is_local else base,
        "auto_mapping": {
            "base_model_class": config["architectures"][0],
            "parent_library": f"transformers.models.{name}.modeling_{name}",
        },
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": sorted(set(modules)),
        "modules_to_save": sorted({tensor.partition(".")[0] for tensor in of_head if "." in tensor}),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
    }
