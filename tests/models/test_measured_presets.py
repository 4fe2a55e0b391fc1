"""Presets that were measured win over those of the family, and travel with the model."""

import json

import pytest
import torch

import sonant
from sonant.checkpoints import note_presets, save_pretrained
from sonant.errors import ConfigurationError, CorruptedCheckpoint
from sonant.models import Wav2VecConfig, WavLMConfig, build
from sonant.models.families import Preset, presets, presets_of
from tests.shapes import TINY

CONFIGS = (WavLMConfig(**TINY), Wav2VecConfig(conv_channels=(8,) * 5, context_kernels=(2, 3)))
MEASURED = {"speaker": Preset(1, "mean+std", "measured: speaker 90 %"), "content": Preset(0, None, "measured")}


@pytest.fixture(params=CONFIGS, ids=["transformers", "sonant"])
def folder(request, tmp_path):
    torch.manual_seed(0)
    save_pretrained(build(request.param), tmp_path / "model")
    return tmp_path / "model"


def test_encode_takes_them_and_save_pretrained_keeps_them(folder, tmp_path):
    before = sonant.load(folder)
    assert presets_of(before.model) == presets(before.model.config)
    before.write_presets(MEASURED)
    samples = torch.sin(torch.arange(8000) / 5).numpy()
    sonant.load(folder).save_pretrained(tmp_path / "again")
    for encoder in (before, sonant.load(folder), sonant.load(tmp_path / "again")):
        assert presets_of(encoder.model) == presets(encoder.model.config) | MEASURED
        request = encoder.request(None, None, "speaker")
        assert (request.layers, request.pool) == ((1,), "mean+std")
        vector = encoder.encode(samples, task="speaker")
        assert (vector == encoder.encode(samples, layer=1, pool="mean+std")).all()
        assert encoder.request(None, None, "emotion").pool == "mean"


def test_those_of_other_tasks_are_kept(folder):
    encoder = sonant.load(folder)
    encoder.write_presets(MEASURED)
    encoder.write_presets({"speaker": Preset(0, "mean", "again")})
    assert sonant.load(folder).model.measured_presets == MEASURED | {"speaker": Preset(0, "mean", "again")}


def test_a_layer_that_the_model_lacks_is_left_out(folder):
    note_presets(folder, {"speaker": Preset(99, "mean", "of a larger model")})
    encoder = sonant.load(folder)
    assert presets_of(encoder.model) == presets(encoder.model.config)


@pytest.mark.parametrize("noted", [[], {"speaker": {"layer": 1}}, {"speed": {"layer": 1, "pool": None, "why": ""}}])
def test_damaged_presets_are_named(folder, noted):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sonant_presets": noted}))
    with pytest.raises(CorruptedCheckpoint, match="sonant_presets"):
        sonant.load(folder)


def test_a_model_without_a_folder_says_so():
    encoder = sonant.api.SpeechEncoder(build(CONFIGS[0]).eval(), name="nowhere")
    with pytest.raises(ConfigurationError, match="save_pretrained"):
        encoder.write_presets(MEASURED)
