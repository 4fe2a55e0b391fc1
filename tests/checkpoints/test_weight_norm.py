"""A positional convolution without weight norm loads, and is written with one, which other toolkits expect."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import load_checkpoint, make_backbone, save_checkpoint
from sonant.errors import CheckpointMismatch
from tests.checkpoints.table.variants import folded

WEIGHT = "encoder.pos_conv_embed.conv.weight"
transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path, theirs_of):
    """A wav2vec 2.0 and its folder, whose weights are without weight norm."""
    theirs = theirs_of("wav2vec2")
    theirs.save_pretrained(tmp_path / "theirs")
    path = tmp_path / "theirs" / "model.safetensors"
    save_file(folded(load_file(path)), path)
    return tmp_path / "theirs"


def weight_of(checkpoint, **options):
    return make_backbone(checkpoint, **options).encoder.positions.weight


def change(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    return state


def test_transformers_loads_what_is_written_back(folder, tmp_path, agree):
    checkpoint = load_checkpoint(folder)
    for to in ("hf", "fairseq", "torchaudio"):
        save_checkpoint(tmp_path / to, checkpoint, to=to)
        torch.testing.assert_close(weight_of(load_checkpoint(tmp_path / to)), weight_of(checkpoint), rtol=0, atol=0)
    back, report = transformers.AutoModel.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    agree(checkpoint, back.eval())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_digit_is_lost_in_any_type(folder, dtype):
    state = change(folder, lambda state: state.update({name: state[name].to(dtype) for name in state}))
    checkpoint = load_checkpoint(folder)
    wide = weight_of(checkpoint, dtype=torch.float64)
    tolerance = 1e-13 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(wide, state[WEIGHT].double(), rtol=tolerance, atol=0)
    assert weight_of(checkpoint, dtype=None).dtype == dtype


def test_a_tap_of_zeros_stays_one(folder):
    state = change(folder, lambda state: state[WEIGHT][:, :, 3].zero_())
    assert torch.equal(weight_of(load_checkpoint(folder))[:, :, 3], state[WEIGHT][:, :, 3])


def test_two_weights_are_one_too_many(folder, theirs_of):
    gain = theirs_of("wav2vec2").state_dict()["encoder.pos_conv_embed.conv.parametrizations.weight.original0"]
    change(folder, lambda state: state.update({"encoder.pos_conv_embed.conv.weight_g": gain}))
    with pytest.raises(CheckpointMismatch, match=r"Left over \(1\): encoder.pos_conv_embed.conv.weight"):
        load_checkpoint(folder)
