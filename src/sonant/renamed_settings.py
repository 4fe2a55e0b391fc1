"""Settings under the names of earlier versions, in the files that those wrote."""

from collections.abc import Mapping
from typing import Any

# By the type of a configuration, or by the key that holds a group without one: earlier name to present name.
RENAMED: dict[str, dict[str, str]] = {
    "Training": {"peak_rate": "lr", "accumulate": "grad_accumulation"},
    "Mixing": {"noise_share": "noise_probability"},
    "PretrainingRun": {"rooms": "impulse_responses"},
    "made_of": {"rooms": "impulse_responses"},
    "MaskedContrastConfig": {"groups": "num_codebooks", "codes": "codebook_size"},
    "W2vBERTObjectiveConfig": {
        "groups": "num_codebooks",
        "codes": "codebook_size",
        "label_codebooks": "num_label_codebooks",
        "label_codes": "label_codebook_size",
    },
    "RandomProjectionTargets": {"num_codes": "codebook_size"},
    "VQWav2VecConfig": {"groups": "num_codebooks", "codes": "codebook_size"},
    "tokenizer": {"groups": "num_codebooks", "codes": "codebook_size"},  # a VQWav2VecConfig in config.json
    "CodesToTextConfig": {"groups": "num_codebooks", "num_codes": "codebook_size"},
    "pretraining": {"groups": "num_codebooks"},  # the notes on a head
}
RENAMED_TYPES = {"FutureContrastConfig": "CPCConfig"}
# By the type of a configuration: settings that earlier versions lacked, and the value that stands for what they did.
ADDED: dict[str, dict[str, Any]] = {
    "Augmentation": {"crop_seconds": 0.0},
    "Batching": {"fill": "shortest"},
    "CTCTask": {
        "vocabulary": "characters",
        "lexicon": "",
        "subwords": "",
        "num_subwords": 500,
        "normalize": "none",
        "digits": "keep",
        "lstm_dim": 0,
        "lstm_layers": 2,
        "lstm_dropout": 0.2,
        "bidirectional": True,
    },
    "LayerTargets": {"codebook": ""},
    "MaskedPredictionConfig": {
        "label_head": "fresh",
        "score_unmasked": True,
        "supervised_layers": [],
        "supervision_weight": 1.0,
        "utterance_contrast": {
            "type": "UtteranceContrastConfig",
            "weight": 0.0,
            "layer": 6,
            "projection_dim": 256,
            "temperature": 0.1,
        },
    },
    "PartSettings": {"frozen_from": None},
    "PretrainingRun": {"held_out_share": 0.0, "processes": 1, "initial_model": ""},
    "SpanMasking": {"equal": False},
    "TaskRun": {
        "adapter": "",
        "cache": "",
        "cache_dtype": "float32",
        "single_state": None,
        "lora": {
            "type": "LoRA",
            "rank": 0,
            "alpha": 16.0,
            "modules": ["attention.query", "attention.value"],
            "dropout": 0.0,
            "save": "merged",
        },
        "dropout": {
            "type": "DropoutRates",
            "dropout": None,
            "attention_dropout": None,
            "activation_dropout": None,
            "input_dropout": None,
            "layerdrop": None,
        },
    },
    "UtteranceTask": {"choose_by": "macro_f1"},
    "Training": {
        "compile": False,
        "decay_vectors": True,
        "gradient_checkpointing": False,
        "parts": [],
        "patience": 0,
        "validate_every": 1000,
    },
}


def present_settings(settings: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    """Settings read from a file, nested ones too, by the names that they have now, with those that were added since.

    Args:
        settings: as JSON holds them; a group of them may name its `type`.
        group: the row of `RENAMED` for settings that name no type.
    """
    kind = settings.get("type", group)
    kind = RENAMED_TYPES.get(kind, kind) if isinstance(kind, str) else group
    renamed = {RENAMED.get(kind, {}).get(name, name): _inside(value, name) for name, value in settings.items()}
    return ADDED.get(kind, {}) | renamed | {"type": kind} if "type" in settings else renamed


def earliest_name(kind: str, name: str) -> str:
    """The name that a setting of a configuration had at first, for hashes that must outlast a renaming."""
    return next((earlier for earlier, now in RENAMED.get(kind, {}).items() if now == name), name)


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return present_settings(value, name)
    return [_inside(item, name) for item in value] if isinstance(value, list) else value
