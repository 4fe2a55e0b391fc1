"""Models with adapters: whole through our formats and transformers', refused by those without a place for them."""

import json

import pytest
import transformers

from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.errors import CheckpointMismatch, ConfigurationError, UnsupportedCheckpoint
from tests.checkpoints.table.families import conformer

IN_THE_LAYERS = {"adapter_attn_dim": 5}
BEHIND = {"add_adapter": True, "num_adapter_layers": 2, "adapter_kernel_size": 4, "output_hidden_size": 12}
CASES = [
    ("wav2vec2", "layer", IN_THE_LAYERS),
    ("wav2vec2", "layer", IN_THE_LAYERS | BEHIND),
    ("hubert", "layer", IN_THE_LAYERS),
    ("wav2vec2", "group", BEHIND),
    ("wav2vec2", "group", {"add_adapter": True}),  # as many layers as transformers makes
    ("wavlm", "group", BEHIND),
]


@pytest.mark.parametrize("kind", ["Model", "ForCTC"])
@pytest.mark.parametrize(("family", "norm", "settings"), CASES)
def test_there_and_back(tmp_path, theirs_of, family, norm, settings, kind):
    theirs = theirs_of(family, kind, norm, **settings)
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    for to in ("hf", "sonant"):
        assert save_checkpoint(tmp_path / to, checkpoint, to=to).aside == ()
        again = load_checkpoint(tmp_path / to)
        assert again.config == checkpoint.config
        assert not differing(again.backbone_state, checkpoint.backbone_state)
    loaded, report = type(theirs).from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not differing(loaded.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("settings", [IN_THE_LAYERS, BEHIND])
@pytest.mark.parametrize("to", ["fairseq", "torchaudio"])
def test_a_format_without_a_place_for_adapters_is_refused(tmp_path, theirs_of, settings, to):
    theirs_of("wav2vec2", "Model", "layer", **settings).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="has no place for adapters"):
        save_checkpoint(tmp_path / "model.pt", load_checkpoint(tmp_path), to=to)
    assert not (tmp_path / "model.pt").exists()


def test_post_norm_layers_have_no_adapter_whatever_the_configuration_says(tmp_path, theirs_of):
    theirs_of("wav2vec2", "Model", "group", adapter_attn_dim=16).save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).config.attention_adapter_dim is None


@pytest.mark.parametrize(("family", "setting"), [("wavlm", {"adapter_attn_dim": 4}), ("hubert", {"add_adapter": True})])
def test_what_a_family_of_transformers_does_not_have_is_refused(tmp_path, theirs_of, family, setting):
    theirs_of(family, "Model", "layer").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | setting
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedCheckpoint, match="adapter"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("setting", [{"adapter_attn_dim": 6}, {"add_adapter": True}])
def test_adapters_that_the_file_lacks_are_listed(tmp_path, theirs_of, setting):
    theirs_of("wav2vec2", "Model", "layer").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | setting
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointMismatch, match="adapter"):
        load_checkpoint(tmp_path)


def test_a_head_for_clips_behind_an_adapter_lies_beside_the_model(tmp_path, checkpoint_of):
    """transformers' class refuses it."""
    checkpoint = checkpoint_of("wav2vec2", heads=["sequence_classification"], adapter_layers=1)
    assert save_checkpoint(tmp_path, checkpoint, to="hf").aside == ("the head 'sequence_classification'",)
    assert type(transformers.AutoModel.from_pretrained(tmp_path)).__name__ == "Wav2Vec2Model"


def test_a_conformer_there_and_back(tmp_path):
    theirs = conformer("ForCTC", **BEHIND)
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert (checkpoint.config.adapter_layers, checkpoint.config.adapter_dim) == (2, 12)
    save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    loaded, report = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not differing(loaded.state_dict(), theirs.state_dict())
