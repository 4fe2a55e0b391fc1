"""SEW in the layout of transformers, with its heads."""

import json

import pytest
import torch

from sonant.checkpoints import differing, load_checkpoint, make_backbone, save_checkpoint
from sonant.checkpoints.convert import convert_checkpoint
from sonant.errors import ModelWarning, UnsupportedCheckpoint
from sonant.extraction.head_store import build_head
from sonant.layers.packed import Packed
from tests.checkpoints.table.families import SEW_HEADS, sew

pytest.importorskip("transformers")


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("kind", SEW_HEADS)
def test_transformers_loads_what_is_written_back(tmp_path, kind, width):
    """The same class, every tensor bit for bit, and the same answer."""
    theirs = sew(kind, width)
    theirs.save_pretrained(tmp_path / "theirs")
    save_checkpoint(tmp_path / "ours", load_checkpoint(tmp_path / "theirs"), to="hf")
    again, told = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(told[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not differing(theirs.state_dict(), again.state_dict())
    samples = torch.randn(1, 12_000)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(samples)[0], theirs(samples)[0])


@pytest.mark.parametrize("kind", ["ForCTC", "ForSequenceClassification"])
@torch.no_grad()
def test_heads_answer_as_theirs(tmp_path, kind):
    """On an even and an odd number of frames, of which the last has no squeezed frame."""
    theirs = sew(kind)
    theirs.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    backbone, name = make_backbone(checkpoint), SEW_HEADS[kind][0]
    clips = [torch.randn(size) for size in (16_000, 16_320)]
    encoded = backbone(Packed.pack(clips))
    assert [length % 2 for length in encoded.lengths.tolist()] == [1, 0]
    logits = build_head(name, checkpoint.heads[name])(Packed(encoded.last[:, None], encoded.lengths))
    for clip, found in zip(clips, logits, strict=True):
        torch.testing.assert_close(found, theirs(clip[None]).logits[0], rtol=1e-4, atol=1e-4)


def test_nothing_is_lost_through_our_own_folder(tmp_path):
    sew("ForCTC").save_pretrained(tmp_path / "a")
    assert convert_checkpoint(tmp_path / "a", tmp_path / "b", to="sonant").faithful
    assert convert_checkpoint(tmp_path / "b", tmp_path / "c", to="hf").faithful


def test_sew_d_is_refused_by_name(tmp_path):
    sew().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "sew-d"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedCheckpoint, match="'sew-d', that is SEW-D, whose attention is that of DeBERTa"):
        load_checkpoint(tmp_path)


def test_a_classifier_that_mixes_states_is_left_aside(tmp_path):
    """transformers mixes and pools squeezed frames, of which there is no state here."""
    sew("ForSequenceClassification", use_weighted_layer_sum=True).save_pretrained(tmp_path)
    with pytest.warns(ModelWarning, match=r"classifier\.weight.*squeezed frames"):
        assert not load_checkpoint(tmp_path).heads
