"""Variants of the families are written back as what they were, and refused by formats that cannot say them."""

import json

import pytest

from sonant.checkpoints import differing, load_backbone, load_checkpoint, save_checkpoint, save_pretrained
from sonant.errors import ConfigurationError, UnsupportedCheckpoint
from tests.checkpoints.table.families import CLASSES, SETTINGS
from tests.checkpoints.table.variants import CONVOLUTIONS_25HZ
from tests.checkpoints.test_hf import reload

HUBERTS = {
    "no projection norm": {"feat_proj_layer_norm": False},
    "batch norm": {"conv_pos_batch_norm": True},
    "25 Hz": {"conv_pos_batch_norm": True, **CONVOLUTIONS_25HZ},
}


@pytest.mark.parametrize("kind", ["Model", "ForCTC", "ForSequenceClassification"])
@pytest.mark.parametrize("name", HUBERTS)
def test_there_and_back(tmp_path, theirs_of, agree, name, kind):
    theirs = theirs_of("hubert", kind, **HUBERTS[name])
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    agree(checkpoint, theirs)
    for to in ("hf", "sonant"):
        save_checkpoint(tmp_path / to, checkpoint, to=to)
        again = load_checkpoint(tmp_path / to)
        assert again.config == checkpoint.config
        assert not differing(again.backbone_state, checkpoint.backbone_state)
    back = reload(theirs, tmp_path / "hf")
    assert not differing(theirs.state_dict(), back.state_dict())
    for setting, value in HUBERTS[name].items():
        assert getattr(back.config, setting) == value or list(getattr(back.config, setting)) == list(value)


def test_fairseq_has_a_place_for_a_batch_norm(tmp_path, checkpoint_of):
    checkpoint = checkpoint_of("hubert", position_norm="batch")
    save_checkpoint(tmp_path / "x.pt", checkpoint, to="fairseq")
    again = load_checkpoint(tmp_path / "x.pt")
    assert again.config == checkpoint.config
    assert not differing(again.backbone_state, checkpoint.backbone_state)


@pytest.mark.parametrize(
    ("setting", "value", "to"),
    [
        ("position_norm", "batch", "torchaudio"),
        ("projection_norm", False, "torchaudio"),
        ("projection_norm", False, "fairseq"),
    ],
)
def test_a_format_that_cannot_say_it_is_refused(tmp_path, checkpoint_of, setting, value, to):
    with pytest.raises(ConfigurationError, match=f"{setting}={value!r}"):
        save_checkpoint(tmp_path / "x", checkpoint_of("hubert", **{setting: value}), to=to)


@pytest.mark.parametrize("setting", ["conv_pos_batch_norm", "feat_proj_layer_norm"])
def test_only_hubert_has_them(tmp_path, theirs_of, setting):
    theirs_of("wavlm").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {setting: setting == "conv_pos_batch_norm"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedCheckpoint, match=setting):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("family", "kind", "norm"),
    [(family, kind, norm) for family in CLASSES for kind in CLASSES[family] for norm in ("group", "layer")],
)
def test_a_family_there_and_back(tmp_path, theirs_of, agree, family, kind, norm):
    weighted = {} if kind in ("Model", "ForCTC", "ForPreTraining") else {"use_weighted_layer_sum": True}
    theirs = theirs_of(family, kind, norm, **weighted, **SETTINGS.get(family, {}))
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert checkpoint.family == family
    agree(checkpoint, theirs)
    save_checkpoint(tmp_path / "sonant", checkpoint, to="sonant")
    written = save_checkpoint(tmp_path / "hf", load_checkpoint(tmp_path / "sonant"), to="hf")
    assert written.aside == ()
    assert not differing(theirs.state_dict(), reload(theirs, tmp_path / "hf").state_dict())
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == (theirs.config.model_type, [type(theirs).__name__])


@pytest.mark.parametrize("family", CLASSES)
def test_a_backbone_alone_is_saved_as_what_it_was(tmp_path, theirs_of, family):
    theirs_of(family).save_pretrained(tmp_path / "theirs")
    save_pretrained(load_backbone(tmp_path / "theirs"), tmp_path / "ours")
    assert load_checkpoint(tmp_path / "ours").family == family
