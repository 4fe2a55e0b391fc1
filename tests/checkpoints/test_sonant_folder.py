"""Our own folder takes every family and gives it back bit for bit."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import (
    Checkpoint,
    Head,
    differing,
    load_backbone,
    load_checkpoint,
    save_checkpoint,
    save_pretrained,
)
from sonant.checkpoints.checkpoint import shapes_of
from sonant.errors import CheckpointMismatch, ConfigurationError, CorruptedCheckpoint, UnknownName
from sonant.layers.packed import Packed
from sonant.models import (
    Data2VecConfig,
    DiscreteBERTConfig,
    FilterBankConfig,
    SEWConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2ConformerConfig,
    Wav2VecConfig,
    build,
)
from sonant.models.families import FAMILIES
from tests.shapes import TINY

CONVS = {"conv_channels": (8,) * 3, "conv_kernels": (10, 8, 4), "conv_strides": (5, 4, 2), "context_kernels": (2, 3)}
CODES = VQWav2VecConfig(**CONVS, quantizer="kmeans", codebook_size=5)
BLOCK = {"dim": 16, "num_layers": 2, "num_heads": 2, "feed_forward_dim": 24}
CONFIGS = {
    "wav2vec": Wav2VecConfig(**CONVS),
    "vq_wav2vec": VQWav2VecConfig(**CONVS, codebook_size=5),
    "vq_wav2vec, kmeans": replace(CODES, shared_codebook=False),
    "discrete_bert": DiscreteBERTConfig(**BLOCK, tokenizer=CODES, vocabulary_size=30, max_positions=40),
    "data2vec": Data2VecConfig(**BLOCK, conv_channels=(8,) * 7, position_groups=2),
    "wav2vec2_conformer": Wav2Vec2ConformerConfig(**BLOCK, conv_channels=(8,) * 7, conv_kernel=5),
    "filter_bank": FilterBankConfig(num_bins=23, num_coefficients=13, with_deltas=False, by_clip=True),
    "sew": SEWConfig(**BLOCK, conv_channels=(8,) * 13, position_kernel=5, position_groups=2),
    "w2v_bert2": W2vBERT2Config(**BLOCK, conv_kernel=5, left_reach=4, right_reach=2),
    "w2v_bert2, adapter": W2vBERT2Config(**BLOCK, adapter_layers=2, adapter_dim=8, adapter_feed_forward=True),
    **{
        family: FAMILIES[family].config(**TINY)
        for family in ("wavlm", "hubert", "wav2vec2", "unispeech", "unispeech_sat")
    },
}


@pytest.fixture(params=CONFIGS)
def checkpoint(request):
    """Random weights of any family, and the head of an objective that nobody has heard of."""
    torch.manual_seed(0)
    config = CONFIGS[request.param]
    state = {
        name: torch.randn_like(tensor).abs_() if tensor.is_floating_point() else tensor  # a variance is positive
        for name, tensor in build(config).state_dict().items()
    }
    head = Head({"strange.weight": torch.randn(3), "step": torch.tensor(7)}, {"objective": "guessing"})
    return Checkpoint(config, state, {"pretraining": head})


def test_every_family_has_a_configuration_here():
    assert {name.partition(",")[0] for name in CONFIGS} == set(FAMILIES)


def test_there_and_back(tmp_path, checkpoint):
    assert save_checkpoint(tmp_path, checkpoint, to="sonant").aside == ()
    got = load_checkpoint(tmp_path)
    assert (got.format, got.family) == ("sonant", checkpoint.family)
    assert got.config == checkpoint.config
    assert not differing(got.backbone_state, checkpoint.backbone_state)
    assert not differing(got.heads["pretraining"].tensors, checkpoint.heads["pretraining"].tensors)
    assert got.heads["pretraining"].metadata == {"objective": "guessing"}
    again = load_checkpoint(tmp_path / "model.safetensors")
    assert not differing(again.backbone_state, checkpoint.backbone_state)


def test_a_saved_model_says_the_same(tmp_path, checkpoint):
    """Through `save_pretrained`, which takes the layout of transformers where there is one."""
    backbone = build(checkpoint.config)
    backbone.load_state_dict(checkpoint.backbone_state)
    save_pretrained(backbone.eval(), tmp_path)
    speech = Packed.pack([torch.randn(4000), torch.randn(2500)])
    with torch.inference_mode():
        expected, got = backbone(speech), load_backbone(tmp_path)(speech)
    assert torch.equal(got.last, expected.last)
    assert all(torch.equal(got.hidden_states[i], state) for i, state in expected.hidden_states.items())


def test_hollow_models_have_the_shapes_of_real_ones(checkpoint):
    real = {name: tuple(tensor.shape) for name, tensor in checkpoint.backbone_state.items()}
    assert shapes_of(checkpoint.config) == real


def test_half_precision(tmp_path):
    backbone = build(CONFIGS["discrete_bert"])
    save_pretrained(backbone, tmp_path, dtype=torch.float16)
    got = load_checkpoint(tmp_path).backbone_state
    assert {tensor.dtype for tensor in got.values()} == {torch.float16, torch.int64}  # codes stay whole numbers
    assert load_backbone(tmp_path, dtype=torch.bfloat16).vocabulary.codes.dtype == torch.int64


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        torch.manual_seed(0)
        save_pretrained(build(CONFIGS["discrete_bert"]), tmp_path)
        return tmp_path

    def settings(self, folder, **changes):
        config = json.loads((folder / "config.json").read_text())
        config["settings"] |= changes
        (folder / "config.json").write_text(json.dumps(config))

    @pytest.mark.parametrize(
        ("changes", "error", "word"),
        [
            ({"dim": "16"}, ConfigurationError, "dim"),
            ({"num_layers": 0}, ConfigurationError, "num_layers"),
            ({"tokenizer": {"projection_depth": 10**6}}, ConfigurationError, "projection_depth"),
            ({"tokenizer": {"context_kernels": [1] * 10**5}}, ConfigurationError, "context_kernels"),
            ({"tokenizer": None}, ConfigurationError, "tokenizer"),
            ({"tokenizer": {"codebook_size": 5, "surprise": 1}}, ConfigurationError, "tokenizer"),
            ({"tokenizer": {"quantizer": "magic"}}, ConfigurationError, "quantizer"),
            ({"tokenizer": {"context_kernels": [2, 0]}}, ConfigurationError, "context_kernels"),
            ({"later": 1}, UnknownName, "later"),
            ({"num_layers": 3}, CheckpointMismatch, "3 encoder.layers"),
            ({"feed_forward_dim": 25}, CheckpointMismatch, r"\(25, 16\)"),
        ],
    )
    def test_wrong_settings(self, folder, changes, error, word):
        self.settings(folder, **changes)
        with pytest.raises(error, match=word):
            load_checkpoint(folder)

    @pytest.mark.parametrize("config", [{}, {"family": "discrete_bert"}, {"family": "wav2vec9", "settings": {}}])
    def test_no_settings(self, folder, config):
        (folder / "config.json").write_text(json.dumps({"model_type": "sonant"} | config))
        with pytest.raises((CorruptedCheckpoint, UnknownName)):
            load_checkpoint(folder)

    def test_other_tensors(self, folder):
        state = load_file(folder / "model.safetensors")
        del state["embedding.weight"]
        save_file(state | {"strange": torch.ones(1)}, folder / "model.safetensors")
        with pytest.raises(CheckpointMismatch, match=r"Missing \(1\): embedding\.weight") as caught:
            load_checkpoint(folder)
        assert "Left over (1): strange" in str(caught.value)

    def test_cut_short(self, folder):
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[:-9])
        with pytest.raises(CorruptedCheckpoint, match="safetensors"):
            load_checkpoint(folder)

    def test_overrides_win(self, folder):
        assert load_checkpoint(folder, overrides={"dropout": 0.5}).config.dropout == 0.5
        with pytest.raises(UnknownName, match="vocabulary_size"):
            load_checkpoint(folder, overrides={"vocabulary": 3})
