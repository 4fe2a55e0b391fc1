"""Folders that somebody wrote or changed by hand: what is meant loads, what is wrong is told by name."""

import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import load_checkpoint
from sonant.errors import CheckpointMismatch, CorruptedCheckpoint, UnknownCheckpoint, UnsupportedCheckpoint
from tests.checkpoints import tiny


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    tiny.theirs("wavlm", "ForSequenceClassification").save_pretrained(tmp_path)
    return tmp_path


def change(folder, name="config.json", **settings):
    path = folder / name
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | settings))


def change_tensors(folder, change):
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def shards(folder, first="model-1.safetensors", second="model-2.safetensors", **extra):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    table = {name: (first, second)[number % 2] for number, name in enumerate(state)}
    for shard in ("model-1.safetensors", "model-2.safetensors"):
        save_file({name: state[name] for name in state if table[name].endswith(shard)}, folder / shard)
    change(folder, "model.safetensors.index.json", weight_map=table | extra)


@pytest.mark.parametrize(
    "settings",
    [
        {"layer_norm_eps": "1e-5"},
        {"hidden_size": "16", "num_hidden_layers": "2", "conv_dim": ["8"] * 7},
        {"hidden_size": 16.0, "do_stable_layer_norm": 0},
        {"do_stable_layer_norm": "false", "conv_bias": "False", "add_adapter": "false"},
        {"activation_dropout": None, "layerdrop": None, "hidden_act": None, "conv_kernel": None},
        {"num_buckets": "null", "max_bucket_distance": "800"},
    ],
)
def test_settings_that_are_meant_otherwise_than_written(folder, settings):
    expected = load_checkpoint(folder).config
    change(folder, **settings)
    assert load_checkpoint(folder).config == expected


@pytest.mark.parametrize("flag", ["true", "false"])
def test_a_preprocessor_with_words_for_booleans(folder, flag):
    change(folder, "preprocessor_config.json", do_normalize=flag, sampling_rate="16000", padding_value=None)
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.normalize, checkpoint.config.sampling_rate) == (flag == "true", 16_000)


@pytest.mark.parametrize("setting", [{"layer_norm_eps": "small"}, {"hidden_size": "16.5"}, {"conv_dim": "8"}])
def test_what_is_no_number_is_refused(folder, setting):
    change(folder, **setting)
    with pytest.raises(CorruptedCheckpoint, match=f"config.json says {next(iter(setting))}="):
        load_checkpoint(folder)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_editors_of_windows_make_of_json(folder, encoding):
    for name in ("config.json", "preprocessor_config.json"):
        change(folder, name, sampling_rate=16_000)
        path = folder / name
        path.write_text(path.read_text(), encoding=encoding)
    assert load_checkpoint(folder).family == "wavlm"


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("wavlm.safetensors", "give that file itself"),
        ("tf_model.h5", "another framework"),
        ("README.md", "Fetch the weights as well"),
    ],
)
def test_weights_under_another_name(folder, name, cure):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(UnknownCheckpoint, match=cure):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "names", [{"0": "calm", "1": "angry", "2": "sad"}, {"sad": 2, "calm": 0, "angry": 1}, ["calm", "angry", "sad"]]
)
def test_labels_by_number_or_by_word(folder, names):
    change(folder, id2label=names)
    assert load_checkpoint(folder).heads["sequence_classification"].metadata["labels"] == ["calm", "angry", "sad"]


@pytest.mark.parametrize(
    "names",
    [
        {"calm": "ruhig", "angry": "wütend", "sad": "traurig"},
        {"1": "calm", "2": "angry", "3": "sad"},
        {"0": "calm", "1": "angry", "5": "sad"},
    ],
)
def test_labels_whose_numbers_are_not_those_of_the_outputs_are_refused(folder, names):
    change(folder, id2label=names)
    with pytest.raises(CorruptedCheckpoint, match=r"id2label=.*expected the numbers"):
        load_checkpoint(folder)


class TestShards:
    def test_a_point_and_a_slash_before_a_name(self, folder):
        shards(folder, "./model-1.safetensors", "./model-2.safetensors")
        assert load_checkpoint(folder).family == "wavlm"

    @pytest.mark.parametrize("name", ["../model-1.safetensors", "/etc/model-1.safetensors", "sub/model-1.safetensors"])
    def test_a_shard_elsewhere(self, folder, name):
        shards(folder, name)
        with pytest.raises(CorruptedCheckpoint, match="Shards lie in the folder of their index"):
            load_checkpoint(folder)

    def test_a_shard_that_is_not_there(self, folder):
        shards(folder)
        (folder / "model-2.safetensors").unlink()
        with pytest.raises(CheckpointMismatch, match=r"lacks the shard model-2\.safetensors"):
            load_checkpoint(folder)

    def test_no_index(self, folder):
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        with pytest.raises(UnknownCheckpoint, match=r"need their index, model\.safetensors\.index\.json"):
            load_checkpoint(folder)

    def test_a_tensor_that_no_shard_has(self, folder):
        shards(folder, **{"wavlm.encoder.other": "model-1.safetensors"})
        with pytest.raises(CheckpointMismatch, match=r"lists wavlm\.encoder\.other, and no shard has it"):
            load_checkpoint(folder)

    @pytest.mark.parametrize("table", [{}, [], None, "model-1.safetensors"])
    def test_no_table(self, folder, table):
        shards(folder)
        change(folder, "model.safetensors.index.json", weight_map=table)
        with pytest.raises(CorruptedCheckpoint, match="lists no shards"):
            load_checkpoint(folder)


WEIGHT = "wavlm.encoder.layers.0.attention.q_proj.weight"
QUANTIZED = {
    "whole numbers": ({}, {WEIGHT: torch.ones(16, 16, dtype=torch.int8)}, "are int8, and nothing says how they are"),
    "bitsandbytes, eight bits": (
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {WEIGHT: torch.ones(16, 16, dtype=torch.int8), f"{WEIGHT.removesuffix('.weight')}.SCB": torch.ones(16)},
        "quantized by bitsandbytes .*load the original",
    ),
    "bitsandbytes, four bits, not said": (
        {},
        {WEIGHT: torch.ones(128, 1, dtype=torch.uint8), f"{WEIGHT}.absmax": torch.ones(4)},
        "quantized by bitsandbytes",
    ),
    "gptq": (
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {f"{WEIGHT.removesuffix('.weight')}.qweight": torch.ones(2, 16, dtype=torch.int32)},
        "quantized by gptq",
    ),
    "scales": ({}, {f"{WEIGHT}_scale": torch.ones(1)}, "keeps scales beside the weights"),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_weights_are_refused_by_name(folder, name):
    settings, tensors, says = QUANTIZED[name]
    change(folder, **settings)
    change_tensors(folder, lambda state: state | tensors)
    with pytest.raises(UnsupportedCheckpoint, match=says):
        load_checkpoint(folder)


def test_a_note_on_quantization_beside_whole_weights_changes_nothing(folder):
    change(folder, quantization_config={"quant_method": "torchao"})
    assert load_checkpoint(folder).family == "wavlm"


def test_weights_that_pytorch_quantized_are_refused_by_name(folder):
    (folder / "model.safetensors").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: it will be removed
        layer = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    torch.save({WEIGHT: layer}, folder / "pytorch_model.bin")
    with pytest.raises(UnsupportedCheckpoint, match=r"pytorch_model\.bin: its weights are quantized by PyTorch"):
        load_checkpoint(folder)
