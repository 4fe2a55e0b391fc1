"""The head that the tensors beside a backbone are, and what is said where that cannot be told."""

import json

import pytest
import torch
from safetensors.torch import load_file

import sonant
from sonant.checkpoints import Head, differing, load_checkpoint, save_checkpoint
from sonant.errors import CheckpointError, CheckpointMismatch, ConfigurationError, ModelWarning
from tests.checkpoints import tiny
from tests.checkpoints.table.heads import DIM, SPEECH, beside, hidden, linear

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("tensors", "said", "reason"),
    [
        (linear("classifier", 4), {"architectures": ["Mine"]}, "names Mine, .* called ...ForAudioFrameClassification"),
        (linear("classifier", 4), {"architectures": None}, "names no class"),
        (linear("classifier", 4) | linear("projector", DIM), {"architectures": ["Mine"]}, "ForSequenceClassification"),
        (hidden("classifier", 4), {"architectures": ["Mine"]}, "ForSpeechClassification"),
        (hidden("classifier", 4), SPEECH | {"pooling_mode": "first"}, "pooling_mode='first'; sonant knows mean"),
        (hidden("classifier", 4, last="output"), SPEECH, "which activation"),
        (hidden("age", 8) | hidden("gender", 3), {}, "age has 8 outputs"),
        (linear("head", 4), {}, "no head that sonant knows"),
    ],
)
def test_the_reason_is_told(tensors, said, reason, tmp_path):
    beside(tmp_path, "wav2vec2", tensors, **said)
    with pytest.warns(ModelWarning, match=rf"without {next(iter(tensors)).split('.')[0]}.*{reason}"):
        encoder = sonant.load(tmp_path)
    assert encoder.abilities == ("embeddings",)
    with pytest.raises(ConfigurationError, match=r"classification: .* speech_classification or age_gender"):
        encoder.classify(torch.zeros(16_000))


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("wavlm", {"architectures": ["WavLMForAudioFrameClassification"]}),
        ("wavlm", {"architectures": None, "use_weighted_layer_sum": True}),
    ],
)
def test_frames_are_judged_where_that_is_certain(family, said, tmp_path):
    layers = tiny.HF_SIZES["num_hidden_layers"] + 1
    mix = {"layer_weights": torch.ones(layers)} if "use_weighted_layer_sum" in said else {}
    beside(tmp_path, family, linear("classifier", 2) | mix, **said)
    assert list(load_checkpoint(tmp_path).heads) == ["frame_classification"]


def test_labels_that_do_not_fit_are_told_before_anything_is_read(tmp_path):
    beside(tmp_path, "wav2vec2", hidden("classifier", 3), **SPEECH, id2label={0: "low", 1: "high"})
    with pytest.raises(CheckpointError, match="3 outputs and the labels low, high"):
        sonant.load(tmp_path).classify("no-such-recording.wav")


@pytest.mark.parametrize("tensors", [hidden("classifier", 3), hidden("age", 1) | hidden("gender", 3)])
def test_half_a_head_is_an_error(tensors, tmp_path):
    (lost, *_) = [name for name in tensors if name.endswith("dense.bias")]
    beside(tmp_path, "wav2vec2", {name: tensor for name, tensor in tensors.items() if name != lost}, **SPEECH)
    with pytest.raises(CheckpointMismatch, match=rf"Missing \(1\): {lost}"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "said", "wrong"),
    [
        (linear("projector", 7) | linear("classifier", 4, 6), {"architectures": None}, "classifier.weight"),
        (linear("classifier.dense", DIM) | linear("classifier.out_proj", 3, 5), SPEECH, "classifier.out_proj.weight"),
        (
            hidden("age", 1) | linear("gender.dense", DIM) | linear("gender.out_proj", 3, 5),
            {},
            "gender.out_proj.weight",
        ),
    ],
)
def test_layers_that_do_not_fit_each_other_are_an_error(tensors, said, wrong, tmp_path):
    beside(tmp_path, "wav2vec2", tensors, **said)
    with pytest.raises(CheckpointMismatch, match=rf"Wrong shape \(1\): {wrong} is \(\d, \d\)"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("place", "prefix"), [("wav2vec2.pooler", True), ("encoder.pooler", False)])
def test_what_is_inside_the_backbone_is_never_left_aside(place, prefix, tmp_path):
    beside(tmp_path, "wav2vec2", linear(place, 4) | linear("head", 3), prefix=prefix)
    inside = place.removeprefix("wav2vec2.")
    with pytest.raises(CheckpointMismatch, match=rf"Left over \(2\): {inside}\.bias, {inside}\.weight"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("to", ["hf", "sonant", "fairseq", "torchaudio"])
def test_the_projection_of_content_vec_travels(to, tmp_path, agree):
    said = {"architectures": ["HubertModelWithFinalProj"], "classifier_proj_size": 6}
    theirs = beside(tmp_path / "theirs", "hubert", linear("final_proj", 6), prefix=False, **said)
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert checkpoint.heads["pretraining"].metadata == {}
    save_checkpoint(tmp_path / "ours", checkpoint, to=to)
    again = load_checkpoint(tmp_path / "ours")
    agree(again, theirs)
    assert not differing(again.heads["pretraining"].tensors, linear("projection", 6))
    if to == "hf":
        assert load_file(tmp_path / "ours/model.safetensors").keys() == (
            load_file(tmp_path / "theirs/model.safetensors").keys()
        )
        written = json.loads((tmp_path / "ours/config.json").read_text())
        assert said.items() <= written.items()
        loaded = transformers.HubertModel.from_pretrained(tmp_path / "ours")
        assert not differing(loaded.state_dict(), theirs.state_dict())


def test_label_embeddings_keep_the_head_together(tmp_path):
    """No published class has a place for them, so that the whole head lies beside the model."""
    tiny.theirs("hubert").save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    checkpoint.heads["pretraining"] = Head(linear("projection", 6) | {"label_embeddings": torch.ones(9, 6)})
    save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    assert "final_proj.weight" not in load_file(tmp_path / "ours/model.safetensors")
    assert load_checkpoint(tmp_path / "ours").heads["pretraining"].tensors.keys() == (
        checkpoint.heads["pretraining"].tensors.keys()
    )


def test_of_two_heads_none_is_chosen_by_chance(tmp_path):
    tiny.theirs("wav2vec2").save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    ages = hidden("age", 1, last="output") | hidden("gender", 3, last="output")
    checkpoint.heads["age_gender"] = Head(ages)
    checkpoint.heads["speech_classification"] = Head(hidden("classifier", 3, last="output"))
    save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    with pytest.raises(ConfigurationError, match="speech_classification, age_gender"):
        sonant.load(tmp_path / "ours").classify(torch.zeros(16_000))


def test_an_encoder_keeps_the_head_of_pretraining_when_saved(tmp_path):
    theirs = tiny.theirs("wav2vec2", "ForPreTraining")
    theirs.save_pretrained(tmp_path / "a")
    encoder = sonant.load(tmp_path / "a")
    assert not encoder.heads
    encoder.save_pretrained(tmp_path / "b")
    before, after = (load_checkpoint(tmp_path / name).heads["pretraining"].tensors for name in "ab")
    assert before
    assert not differing(before, after)
