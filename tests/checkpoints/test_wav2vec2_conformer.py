"""wav2vec 2.0 Conformer in the layout of transformers, with every head and every kind of positions."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import sonant
from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.checkpoints.convert import convert_checkpoint
from sonant.errors import CheckpointMismatch, ConfigurationError, UnsupportedCheckpoint
from tests.checkpoints import tiny
from tests.checkpoints.table.families import CONFORMER_HEADS, conformer

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("positions", ["relative", "rotary", None])
@pytest.mark.parametrize("kind", CONFORMER_HEADS)
def test_transformers_loads_what_is_written_back(tmp_path, kind, positions):
    """The same class, every tensor bit for bit, the unused ones too, and the same answer."""
    theirs = conformer(kind, position_embeddings_type=positions)
    theirs.save_pretrained(tmp_path / "theirs")
    first = load_checkpoint(tmp_path / "theirs")
    save_checkpoint(tmp_path / "ours", first, to="hf")
    again, told = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(told[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not differing(theirs.state_dict(), again.state_dict())
    samples = torch.randn(1, 12_000)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(samples)[0], theirs(samples)[0])


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_nothing_is_lost_through_our_own_folder(tmp_path, positions):
    conformer("ForCTC", position_embeddings_type=positions).save_pretrained(tmp_path / "a")
    for number, to in enumerate(("sonant", "hf")):
        report = convert_checkpoint(tmp_path / "ab"[number : number + 1], tmp_path / "bc"[number], to=to)
        assert report.faithful
        assert report.heads == ("ctc", "unused")
    a, c = (load_file(tmp_path / name / "model.safetensors") for name in "ac")
    assert not differing(a, c)


def test_an_encoder_keeps_what_it_does_not_use(tmp_path):
    theirs = conformer("ForCTC")
    theirs.save_pretrained(tmp_path / "a")
    encoder = sonant.load(tmp_path / "a")
    assert list(encoder.heads) == ["ctc"]
    encoder.save_pretrained(tmp_path / "b")
    assert not differing(theirs.state_dict(), load_file(tmp_path / "b" / "model.safetensors"))


def test_a_model_without_the_unused_convolution_is_loaded_and_written(tmp_path):
    """As sonant pretrains it: transformers makes that convolution anew, and does not use it."""
    theirs = conformer()
    theirs.save_pretrained(tmp_path / "a")
    state = load_file(tmp_path / "a" / "model.safetensors")
    kept = {name: tensor for name, tensor in state.items() if "pos_conv_embed" not in name}
    save_file(kept, tmp_path / "a" / "model.safetensors", {"format": "pt"})
    save_checkpoint(tmp_path / "b", load_checkpoint(tmp_path / "a"), to="hf")
    again = transformers.Wav2Vec2ConformerModel.from_pretrained(tmp_path / "b").eval()
    samples = torch.randn(1, 12_000)
    with torch.no_grad():
        torch.testing.assert_close(again(samples)[0], theirs(samples)[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden_act": "gelu_new"}, "hidden_act='gelu_new'"),
        ({"position_embeddings_type": "relative_key"}, "wav2vec2-bert"),
        ({"feat_extract_activation": "relu"}, "feat_extract_activation='relu'"),
    ],
)
def test_what_there_is_no_model_for_is_refused(tmp_path, settings, words):
    conformer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | settings))
    with pytest.raises(UnsupportedCheckpoint, match=words):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("settings", [{"rotary_embedding_base": 500}, {"num_attention_heads": 4}])
def test_frequencies_that_contradict_the_configuration_are_refused(tmp_path, settings):
    conformer(position_embeddings_type="rotary").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | settings))
    with pytest.raises(CheckpointMismatch, match=r"embed_positions\.inv_freq"):
        load_checkpoint(tmp_path)


def test_an_even_kernel_is_refused(tmp_path):
    conformer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"conv_depthwise_kernel_size": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="odd number"):
        load_checkpoint(tmp_path)


def test_statistics_are_whole_or_missed(tmp_path):
    """A batch norm without its running statistics would take those of the batch."""
    conformer().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    gone = "encoder.layers.1.conv_module.batch_norm.running_var"
    del state[gone]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"Missing \(1\): .*batch_norm\.running_var"):
        load_checkpoint(tmp_path)


def test_tiny_models_have_statistics_that_matter():
    statistics = [buffer for name, buffer in conformer().named_buffers() if name.endswith("running_mean")]
    assert len(statistics) == tiny.HF_SIZES["num_hidden_layers"]
    assert all(float(buffer.abs().max()) > 0.01 for buffer in statistics)
