"""The note of linear layers that are multiplied in integers travels with a folder, whoever wrote it."""

import json

import pytest
import torch

from sonant.checkpoints import load_backbone, note_int8_groups, save_pretrained
from sonant.checkpoints.convert import convert_checkpoint
from sonant.errors import CorruptedCheckpoint
from sonant.models import Wav2VecConfig, WavLMConfig, build
from tests.shapes import TINY


@pytest.fixture(params=["hf", "sonant"])
def folder(request, tmp_path):
    torch.manual_seed(0)
    save_pretrained(build(WavLMConfig(**TINY)), tmp_path / "first")
    convert_checkpoint(tmp_path / "first", tmp_path / "model", to=request.param)
    return tmp_path / "model"


@pytest.mark.parametrize("groups", [(), ("attention",), ("feed_forward", "attention")])
def test_what_is_noted_is_read_and_kept(folder, groups) -> None:
    assert load_backbone(folder).int8_groups == ("feed_forward",)
    note_int8_groups(folder, groups)
    backbone = load_backbone(folder)
    assert backbone.int8_groups == groups
    save_pretrained(backbone, folder.parent / "again")
    assert load_backbone(folder.parent / "again").int8_groups == groups
    for kind in ("hf", "sonant"):
        assert convert_checkpoint(folder, folder.parent / kind, to=kind).faithful
        assert load_backbone(folder.parent / kind).int8_groups == groups


def test_families_that_transformers_lacks_keep_it_too(tmp_path) -> None:
    backbone = build(Wav2VecConfig(conv_channels=(8,) * 5, context_kernels=(2, 3)))
    backbone.int8_groups = ()
    save_pretrained(backbone, tmp_path)
    assert load_backbone(tmp_path).int8_groups == ()


@pytest.mark.parametrize("wrong", ["attention", ["convolutions"], 8])
def test_a_damaged_note_is_refused(folder, wrong) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sonant_int8_groups": wrong}))
    with pytest.raises(CorruptedCheckpoint, match="sonant_int8_groups"):
        load_backbone(folder)
