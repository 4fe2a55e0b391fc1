"""Heads in files of transformers, identified by parameter names and the class in config.json.

Names alone are ambiguous: `classifier` may classify frames or their mean, `dense` may be followed by tanh or not. A
head that config.json does not identify is ignored.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import UNUSED
from sonant.checkpoints.hf_layouts import Layout
from sonant.checkpoints.name_maps.hf import HF_HEADS
from sonant.checkpoints.parameter_names import HeadMap

POOLINGS = ("mean", "sum", "max")
MIX = "layer_weights"
FRAMES, WHOLE, HIDDEN = "ForAudioFrameClassification", "ForSequenceClassification", "ForSpeechClassification"
GENDERS = ("female", "male", "child")  # in the order of audEERING's model cards
_AGE_GENDER = {f"{name}.{layer}.weight" for name in ("age", "gender") for layer in ("dense", "out_proj")}


def head_maps_of(layout: Layout) -> dict[str, HeadMap]:
    """Return the maps of the heads that a file of this family may have, by kind."""
    return HF_HEADS | {"pretraining": layout.pretraining}


def heads_in(state: Mapping[str, Tensor], config: Mapping[str, Any], layout: Layout) -> tuple[dict[str, HeadMap], str]:
    """Return the maps of the heads that tensors may belong to, and the reason for an ignored classifier, or ""."""
    kind, reason = _classifier(state, config)
    known = head_maps_of(layout)
    tables = {name: known[name] for name in ("ctc", "pretraining", kind, UNUSED if layout.unused else "") if name}
    weighted = config.get("use_weighted_layer_sum", False)
    return {name: HeadMap(table.rows) if weighted else table for name, table in tables.items()}, reason


def _classifier(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of a classification or x-vector head, or "" and the reason why it is unknown."""
    if any(name.startswith(("tdnn.", "objective.")) for name in state):
        return "xvector", ""
    if state.keys() >= _AGE_GENDER:
        age, gender = (len(state[f"{name}.out_proj.weight"]) for name in ("age", "gender"))
        if (age, gender) == (1, len(GENDERS)):
            return "age_gender", ""
        return "", (
            f"The head for age has {age} outputs and that for gender {gender}; audEERING's, which sonant knows, have 1 "
            f"and {len(GENDERS)}."
        )
    if "classifier.dense.weight" in state:
        return _hidden(state, config)
    if "classifier.weight" not in state:
        return "", ""
    kind, ending = ("frame_classification", FRAMES)
    if "projector.weight" in state:
        kind, ending = ("sequence_classification", WHOLE)
    if MIX in state and config.get("model_type") == "sew":
        return "", (
            "They mix the states of SEW's squeezed frames, and sonant gives the states and the output at the frames of "
            "the extractor."
        )
    names = architectures(config)
    sure = any(name.endswith(ending) for name in names) if names else kind != "frame_classification" or MIX in state
    return (kind, "") if sure else ("", _unnamed(names, ending))


def _hidden(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the result of `_classifier` for a classifier with a hidden layer."""
    names = architectures(config)
    if "classifier.out_proj.weight" not in state:
        return (
            "",
            "Nothing says which activation stands behind the layer 'dense', so what it judges cannot be computed.",
        )
    pooling = config.get("pooling_mode", "mean")
    if pooling not in POOLINGS:
        return "", f"config.json says pooling_mode={pooling!r}; sonant knows {', '.join(POOLINGS)}."
    task = config.get("finetuning_task")
    published = "pooling_mode" in config or (isinstance(task, str) and task.startswith("wav2vec2_"))
    if published or any(name.endswith(HIDDEN) for name in names):
        return "speech_classification", ""
    return "", _unnamed(names, HIDDEN)


def _unnamed(names: list[str], ending: str) -> str:
    said = f"config.json names {', '.join(names)}" if names else "config.json names no class"
    return (
        f"{said}, and tensors of these names may judge every frame or the whole recording, in more ways than one. If "
        f"they are those of a class that is called ...{ending}, write its name into 'architectures'."
    )


def architectures(config: Mapping[str, Any]) -> list[str]:
    """Return the class names in config.json."""
    found = config.get("architectures")
    names = found if isinstance(found, list) else [found]
    return [name for name in names if isinstance(name, str)]
