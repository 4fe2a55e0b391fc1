"""Settings by the names of earlier versions: files that hold them are read as if they had been written now."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from sonant import models, pretraining
from sonant.audio.augment import Mixing
from sonant.checkpoints import load_backbone, save_pretrained
from sonant.data.settings import json_values
from sonant.models.codes_to_text import CodesToTextConfig
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.identity import fingerprint
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.recipes import PRETRAINING, pretraining_recipe
from sonant.renamed_settings import ADDED, RENAMED, RENAMED_TYPES, present_settings
from sonant.training import Training
from sonant.training.runs import PretrainingRun
from tests.codes import discrete_bert

KINDS = {kind.__name__: kind for kind in (Training, Mixing, PretrainingRun, CodesToTextConfig)}
WITHOUT_TYPE = {"made_of", "tokenizer", "pretraining"}


def as_earlier(value: Any, group: str = "") -> Any:
    """Settings under the names that they had at first."""
    if isinstance(value, Mapping):
        kind = value.get("type", group)
        names = {now: earlier for earlier, now in RENAMED.get(kind, {}).items()}
        earlier = {names.get(name, name): as_earlier(item, name) for name, item in value.items()}
        types = {now: before for before, now in RENAMED_TYPES.items()}
        return earlier | {"type": types.get(kind, kind)} if "type" in value else earlier
    return [as_earlier(item) for item in value] if isinstance(value, list) else value


def test_the_table_names_settings_that_there_are() -> None:
    for kind, names in RENAMED.items():
        if kind in WITHOUT_TYPE:
            continue
        made: Any = KINDS.get(kind) or getattr(models, kind, None) or getattr(pretraining, kind)
        known = {field.name for field in fields(made)}
        assert set(names.values()) <= known
        assert not set(names) & known


@pytest.mark.parametrize("name", PRETRAINING)
def test_settings_of_a_run_of_an_earlier_version(name: str) -> None:
    made_of = {"noise": {}, "impulse_responses": {}}
    now = json.loads(json.dumps(json_values(pretraining_recipe(name)) | {"made_of": made_of, "processes": 1}))
    earlier = as_earlier({key: value for key, value in now.items() if key != "processes"})
    assert {"rooms", "noise"} <= earlier.keys() & earlier["made_of"].keys()
    assert "peak_rate" in earlier["stages"][0]["training"]
    assert present_settings(earlier) == now
    assert present_settings(now) == now
    for stage in now["stages"]:
        before = {key: value for key, value in stage["batching"].items() if key != "fill"}
        assert present_settings(before) == before | {"fill": "shortest"}, "all earlier batches were"


def test_options_of_masked_prediction_that_earlier_versions_lacked_are_off() -> None:
    now = json.loads(json.dumps(json_values(pretraining.MaskedPredictionConfig())))
    assert present_settings({name: value for name, value in now.items() if name not in ADDED[now["type"]]}) == now


@pytest.mark.parametrize("family", ["vq-wav2vec", "discrete BERT"])
def test_a_model_of_an_earlier_version(tmp_path: Path, family: str) -> None:
    whole = discrete_bert()
    model = whole.tokenizer if family == "vq-wav2vec" else whole
    save_pretrained(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    settings = as_earlier(config["settings"], "VQWav2VecConfig" if family == "vq-wav2vec" else "")
    assert (settings if family == "vq-wav2vec" else settings["tokenizer"])["codes"] == 5
    (tmp_path / "config.json").write_text(json.dumps(config | {"settings": settings}))
    assert load_backbone(tmp_path).config == model.config


def test_a_model_keeps_the_hash_that_earlier_versions_gave_it() -> None:
    """Folders of targets and of runs hold it; computed by the version before the names changed."""
    tokenizer = VQWav2VecConfig(
        conv_channels=(4,), conv_kernels=(10,), conv_strides=(160,), context_kernels=(2,), codebook_size=5
    )
    sizes = {"vocabulary_size": 10, "dim": 8, "num_layers": 1, "num_heads": 2, "feed_forward_dim": 8}
    bert = DiscreteBERTConfig(**sizes, max_positions=20, tokenizer=tokenizer)
    for config, expected in ((tokenizer, "5e16622abfcde969"), (bert, "5907e14c478c0d18")):
        model = models.build(config)
        for tensor in model.state_dict().values():
            torch.Tensor.fill_(tensor, 1)
        assert fingerprint(model) == f"sha256:{expected}"
