"""State dicts in torchaudio's names, which say nothing of the model but shapes."""

import pytest
import torch

from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.checkpoints.checkpoint import shapes_of
from sonant.checkpoints.deduce import deduce_config
from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.models import HuBERTConfig, Wav2Vec2Config, WavLMConfig, hubert, wav2vec2, wavlm

PUBLISHED = {
    "wav2vec2 base": ("wav2vec2", Wav2Vec2Config()),
    "wav2vec2 lv60": ("wav2vec2", wav2vec2.LARGE_LV60),
    "xls-r 1b": ("wav2vec2", wav2vec2.XLS_R_1B),
    "xls-r 2b": ("wav2vec2", wav2vec2.XLS_R_2B),
    "hubert base": ("hubert", HuBERTConfig()),
    "hubert large": ("hubert", hubert.LARGE),
    "hubert xlarge": ("hubert", hubert.XLARGE),
    "wavlm base": ("wavlm", WavLMConfig()),
    "wavlm large": ("wavlm", wavlm.LARGE),
}
DROPOUTS = {"dropout", "attention_dropout", "activation_dropout", "input_dropout", "layerdrop"}


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("family", ["wavlm", "hubert", "wav2vec2"])
def test_there_and_back(tmp_path, theirs_of, torchaudio_names, agree, family, norm):
    theirs = theirs_of(family, norm=norm)
    state = torchaudio_names(theirs.state_dict(), family)
    state |= {"aux.weight": torch.randn(5, 16), "aux.bias": torch.randn(5)}
    torch.save(state, tmp_path / "t.pth")
    overrides = {"family": family} | ({} if family == "wavlm" else {"num_heads": 2})
    checkpoint = load_checkpoint(tmp_path / "t.pth", overrides=overrides)
    assert (checkpoint.format, checkpoint.family, checkpoint.normalize) == ("torchaudio", family, norm == "layer")
    assert "mask_embedding" not in checkpoint.backbone_state
    assert list(checkpoint.heads) == ["ctc"]
    agree(checkpoint, theirs)
    save_checkpoint(tmp_path / "again.pth", checkpoint, to="torchaudio")
    assert not differing(torch.load(tmp_path / "again.pth", weights_only=True), state)
    assert load_checkpoint(tmp_path / "again.pth").config == checkpoint.config  # ours needs no overrides


def test_the_old_spelling_of_weight_norm(tmp_path, theirs_of, torchaudio_names, agree):
    theirs = theirs_of("wavlm")
    state = torchaudio_names(theirs.state_dict(), "wavlm")
    for old, new in (("original0", "weight_g"), ("original1", "weight_v")):
        state = {name.replace(f"parametrizations.weight.{old}", new): tensor for name, tensor in state.items()}
    assert any(name.endswith("conv.weight_g") for name in state)
    torch.save(state, tmp_path / "t.pth")
    agree(load_checkpoint(tmp_path / "t.pth"), theirs)


def test_the_pretraining_model_of_hubert(tmp_path, checkpoint_of):
    checkpoint = checkpoint_of("hubert", heads=["pretraining"])
    assert save_checkpoint(tmp_path / "t.pth", checkpoint, to="torchaudio").aside == ()
    state = torch.load(tmp_path / "t.pth", weights_only=True)
    assert torch.equal(state["mask_generator.mask_embedding"], checkpoint.backbone_state["mask_embedding"])
    assert {"logit_generator.label_embeddings", "logit_generator.final_proj.bias"} < state.keys()
    assert all(name.startswith(("wav2vec2.", "mask_generator.", "logit_generator.")) for name in state)
    del state._metadata  # as torchaudio itself would have written it
    torch.save(state, tmp_path / "bare.pth")
    got = load_checkpoint(tmp_path / "bare.pth", overrides={"num_heads": 2})
    assert got.family == "hubert"
    assert not differing(got.backbone_state, checkpoint.backbone_state)
    assert not differing(got.heads["pretraining"].tensors, checkpoint.heads["pretraining"].tensors)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_shapes_of_published_models_tell_their_configuration(name):
    family, config = PUBLISHED[name]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes_of(config).items()}
    deduced = deduce_config(tensors, family=family, source=name, overrides=None)
    unlike = {key for key in vars(config) if getattr(deduced, key) != getattr(config, key)}
    assert unlike <= DROPOUTS


def test_what_shapes_do_not_tell_must_be_said(tmp_path, checkpoint_of):
    state = torchaudio_state(checkpoint_of("wav2vec2"), tmp_path)
    torch.save(state, tmp_path / "t.pth")
    with pytest.raises(ConfigurationError, match="num_heads"):
        load_checkpoint(tmp_path / "t.pth")
    got = load_checkpoint(tmp_path / "t.pth", overrides={"num_heads": 4, "pre_norm": True, "normalize": True})
    assert (got.config.num_heads, got.config.pre_norm, got.normalize) == (4, True, True)


def test_a_missing_and_a_strange_tensor(tmp_path, checkpoint_of):
    state = torchaudio_state(checkpoint_of("wavlm"), tmp_path)
    del state["encoder.transformer.layers.1.attention.attention.in_proj_bias"]
    state["extra.weight"] = torch.ones(1)
    torch.save(state, tmp_path / "t.pth")
    with pytest.raises(CheckpointMismatch) as caught:
        load_checkpoint(tmp_path / "t.pth")
    assert "Missing (1): encoder.transformer.layers.*.attention.attention.in_proj_bias" in str(caught.value)
    assert "Left over (1): extra.weight" in str(caught.value)


def torchaudio_state(checkpoint, folder):
    """The plain state dict of a checkpoint, without our notes."""
    save_checkpoint(folder / "noted.pth", checkpoint, to="torchaudio")
    return dict(torch.load(folder / "noted.pth", weights_only=True))
