"""w2v-BERT 2.0 in the layouts of transformers (with every head), fairseq and fairseq2."""

import json
import re

import numpy as np
import pytest
import torch

from sonant.checkpoints import Checkpoint, Head, differing, load_checkpoint, make_backbone, save_checkpoint
from sonant.checkpoints.checkpoint import shapes_of
from sonant.checkpoints.name_maps.fairseq import FAIRSEQ_W2V_BERT2
from sonant.checkpoints.name_maps.fairseq2 import FAIRSEQ2_W2V_BERT2
from sonant.checkpoints.name_maps.hf import HF_W2V_BERT2
from sonant.checkpoints.parameter_names import read, write
from sonant.errors import CheckpointMismatch, ConfigurationError, CorruptedCheckpoint, UnsupportedCheckpoint
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2Config, build

transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_depthwise_kernel_size": 5,
    "left_max_position_embeddings": 6,
    "right_max_position_embeddings": 3,
    "vocab_size": 11,
    "num_labels": 3,
    "classifier_proj_size": 7,
    "tdnn_dim": (6, 6, 9),
    "tdnn_kernel": (5, 3, 1),
    "tdnn_dilation": (1, 2, 1),
    "xvector_output_dim": 13,
}
HEADS = {
    "Model": None,
    "ForCTC": "ctc",
    "ForSequenceClassification": "sequence_classification",
    "ForAudioFrameClassification": "frame_classification",
    "ForXVector": "xvector",
}
ADAPTERS = {
    "none": {},
    "narrow": {"add_adapter": True, "output_hidden_size": 8, "num_adapter_layers": 2},
    "same": {"add_adapter": True, "use_intermediate_ffn_before_adapter": True, "adapter_kernel_size": 5},
}


def theirs_of(kind="Model", **settings):
    """A tiny model of transformers with random weights."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2BertConfig(**SIZES, **settings)
    model = getattr(transformers, f"Wav2Vec2Bert{kind}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def assert_agree(checkpoint, theirs):
    """Every hidden state of a waveform, through their feature extractor and through ours."""
    samples = 0.1 * torch.randn(12_000, generator=torch.Generator().manual_seed(1))
    extractor = transformers.SeamlessM4TFeatureExtractor()
    inputs = extractor(np.asarray(samples), sampling_rate=16_000, return_tensors="pt")
    body = getattr(theirs, theirs.base_model_prefix, theirs)
    backbone = make_backbone(checkpoint)
    with torch.no_grad():
        expected = body(**inputs, output_hidden_states=True)
        got = backbone(Packed.pack([samples]))
    frames = int(got.lengths[0])
    for number, state in enumerate(expected.hidden_states):
        ours = got.hidden_states[number]
        torch.testing.assert_close(ours, state[0, :frames], rtol=1e-4, atol=1e-5 * float(state.abs().max()))


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", HEADS)
def test_there_and_back(tmp_path, kind, adapter):
    if adapter != "none" and kind in ("ForSequenceClassification", "ForAudioFrameClassification"):
        pytest.skip("transformers has no such class")
    weighted = {} if kind in ("Model", "ForCTC") else {"use_weighted_layer_sum": True}
    theirs = theirs_of(kind, **weighted, **ADAPTERS[adapter])
    theirs.save_pretrained(tmp_path / "theirs")
    transformers.SeamlessM4TFeatureExtractor(padding_value=1.0).save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert (checkpoint.family, checkpoint.format, checkpoint.normalize) == ("w2v_bert2", "hf", False)
    assert list(checkpoint.heads) == [HEADS[kind]] * (kind != "Model")
    assert_agree(checkpoint, theirs)
    assert save_checkpoint(tmp_path / "ours", checkpoint, to="hf").aside == ()
    back, report = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not differing(theirs.state_dict(), back.state_dict())
    original, ours = theirs.config.to_dict(), back.config.to_dict()
    unlike = {name for name in original if original[name] != ours.get(name)}
    assert unlike <= {"dtype", "architectures", "_name_or_path", "transformers_version", "torch_dtype"}
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "ours")
    assert isinstance(extractor, transformers.SeamlessM4TFeatureExtractor)
    assert (extractor.padding_value, extractor.stride, extractor.feature_size) == (1.0, 2, 80)
    assert load_checkpoint(tmp_path / "ours").config == checkpoint.config


def test_transformers_loads_what_was_never_theirs(tmp_path):
    """Written from a model of ours, with the defaults of the preprocessor."""
    config = W2vBERT2Config(dim=16, num_layers=2, num_heads=2, feed_forward_dim=24, conv_kernel=5)
    torch.manual_seed(0)
    checkpoint = Checkpoint(config, build(config).eval().state_dict())
    save_checkpoint(tmp_path, checkpoint, to="hf")
    theirs, report = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_agree(checkpoint, theirs.eval())
    assert load_checkpoint(tmp_path).config == config


def test_without_a_mask_embedding(tmp_path):
    theirs = theirs_of(mask_time_prob=0.0, mask_feature_prob=0.0)
    theirs.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert "mask_embedding" not in checkpoint.backbone_state
    assert make_backbone(checkpoint).mask_embedding.shape == (16,)


def test_heads_that_an_adapter_rules_out_lie_beside_the_model(tmp_path):
    theirs = theirs_of(**ADAPTERS["same"])
    theirs.save_pretrained(tmp_path / "theirs")
    bare = load_checkpoint(tmp_path / "theirs")
    head = Head({"classifier.weight": torch.randn(4, 16), "classifier.bias": torch.randn(4)}, {"labels": list("abcd")})
    checkpoint = Checkpoint(bare.config, bare.backbone_state, {"frame_classification": head})
    assert save_checkpoint(tmp_path / "ours", checkpoint, to="hf").aside == ("the head 'frame_classification'",)
    transformers.Wav2Vec2BertModel.from_pretrained(tmp_path / "ours")
    again = load_checkpoint(tmp_path / "ours").heads["frame_classification"]
    assert not differing(again.tensors, head.tensors)


@pytest.mark.parametrize(
    ("setting", "value", "error", "word"),
    [
        ("position_embeddings_type", "rotary", UnsupportedCheckpoint, "positions"),
        ("hidden_act", "gelu", UnsupportedCheckpoint, "activation"),
        ("feature_projection_input_dim", 161, CorruptedCheckpoint, "feature_projection_input_dim"),
        ("feature_projection_input_dim", "many", CorruptedCheckpoint, "feature_projection_input_dim"),
        ("num_hidden_layers", 3, CheckpointMismatch, "3 encoder.layers"),
        ("num_hidden_layers", 1000, CheckpointMismatch, "1000"),
        ("num_hidden_layers", 10**6, ConfigurationError, "num_layers"),
        ("num_adapter_layers", 10**6, ConfigurationError, "adapter_layers"),
        ("num_attention_heads", 0, ConfigurationError, "num_heads"),
        ("left_max_position_embeddings", 7, CheckpointMismatch, "distance_embedding"),
        ("conv_depthwise_kernel_size", 7, CheckpointMismatch, "depthwise_conv"),
    ],
)
def test_a_wrong_configuration(tmp_path, setting, value, error, word):
    theirs_of(**ADAPTERS["same"]).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {setting: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(error, match=word):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("setting", "value"), [("stride", 0), ("stride", 3), ("stride", "two"), ("num_mel_bins", 81)])
def test_a_preprocessor_of_another_model(tmp_path, setting, value):
    theirs_of().save_pretrained(tmp_path)
    transformers.SeamlessM4TFeatureExtractor().save_pretrained(tmp_path)
    found = json.loads((tmp_path / "preprocessor_config.json").read_text()) | {setting: value}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(found))
    with pytest.raises((CorruptedCheckpoint, UnsupportedCheckpoint), match=setting):
        load_checkpoint(tmp_path)


def test_a_projection_that_is_no_matrix(tmp_path):
    from safetensors.torch import load_file, save_file

    theirs_of().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    name = "encoder.layers.0.conv_module.pointwise_conv1.weight"
    save_file(state | {name: state[name].repeat(1, 1, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match="pointwise_conv1"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("to", ["unilm", "fairseq", "torchaudio"])
def test_formats_without_a_place_for_it_say_so(tmp_path, to):
    config = W2vBERT2Config(dim=16, num_layers=1, num_heads=2, feed_forward_dim=24)
    with pytest.raises(ConfigurationError, match="hf, sonant"):
        save_checkpoint(tmp_path / "x.pt", Checkpoint(config, build(config).state_dict()), to=to)


# fairseq and fairseq2


def published(config, names):
    """The tensors of a model under the names of fairseq or fairseq2, and its pretraining head.

    Written from seamless_communication's `conformer_shaw/loader.py`, apart from the tables under test.
    """
    torch.manual_seed(0)
    model = build(config).eval()
    state = {}
    for old, tensor in model.state_dict().items():
        name = old.replace("projection.norm", "layer_norm").replace("projection.linear", "post_extract_proj")
        name = name.replace("mask_embedding", "mask_emb")
        name = re.sub(r"feed_forward_(\d)_norm", r"ffn\1.layer_norm", name)
        name = re.sub(r"feed_forward_(\d)\.inner", r"ffn\1.w_1", name)
        name = re.sub(r"feed_forward_(\d)\.outer", r"ffn\1.w_2", name)
        name = name.replace("attention_norm", "self_attn_layer_norm")
        name = name.replace("attention.relative_keys", "self_attn.rel_k_embedding")
        for ours, theirs in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "out_proj")):
            name = name.replace(f"attention.{ours}.", f"self_attn.{theirs}.")
        name = re.sub(r"(layers\.\d+)\.norm\.", r"\1.final_layer_norm.", name)
        name = name.replace("conv.norm", "conv_module.layer_norm").replace(
            "conv.depthwise_norm", "conv_module.layer_norm2"
        )
        name = name.replace("conv.depthwise", "conv_module.depthwise_conv")
        name = name.replace("conv.inner", "conv_module.pointwise_conv1").replace(
            "conv.outer", "conv_module.pointwise_conv2"
        )
        state[name] = tensor[:, :, None] if "pointwise" in name else tensor
    dim = config.dim
    state |= {
        "quantizer.vars": torch.randn(1, 10, 6),
        "quantizer.weight_proj.weight": torch.randn(10, 160),
        "quantizer.weight_proj.bias": torch.randn(10),
        "project_q.weight": torch.randn(12, 12),
        "project_q.bias": torch.randn(12),
        "final_proj.weight": torch.randn(12, dim),
        "final_proj.bias": torch.randn(12),
        "encoder.layer_norm.weight": torch.ones(dim),
        "encoder.layer_norm.bias": torch.zeros(dim),
        "mlm_proj.weight": torch.randn(10, dim),
        "mlm_proj.bias": torch.randn(10),
    }
    if names == "fairseq":
        return model, state
    for unused in ("encoder.layer_norm.weight", "encoder.layer_norm.bias", "mlm_proj.weight", "mlm_proj.bias"):
        del state[unused]
    renames = (
        (r"self_attn\.out_proj\.", "self_attn.output_proj."),
        (r"self_attn\.rel_k_embedding\.", "self_attn.sdpa.rel_k_embed."),
        (r"conv_module\.depthwise_conv\.", "conv.depthwise_conv."),
        (r"conv_module\.layer_norm\.", "conv_layer_norm."),
        (r"conv_module\.layer_norm2\.", "conv.layer_norm."),
        (r"conv_module\.pointwise_conv(\d)\.", r"conv.pointwise_conv\1."),
        (r"ffn(\d)\.layer_norm\.", r"ffn\1_layer_norm."),
        (r"ffn(\d)\.w_1\.", r"ffn\1.inner_proj."),
        (r"ffn(\d)\.w_2\.", r"ffn\1.output_proj."),
        (r"final_layer_norm\.", "layer_norm."),
        (r"^layer_norm\.", "encoder_frontend.post_extract_layer_norm."),
        (r"^post_extract_proj\.", "encoder_frontend.model_dim_proj."),
        (r"^mask_emb", "masker.temporal_mask_embed"),
        (r"^quantizer\.vars", "quantizer.entries"),
        (r"^quantizer\.weight_proj\.", "quantizer.entry_proj."),
        (r"^project_q\.", "final_target_proj."),
    )
    moved = {"quantizer.num_updates": torch.zeros(())}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in renames:
            new = re.sub(pattern, replacement, new)
        moved[new] = tensor
    return model, moved


SHAW = W2vBERT2Config(dim=16, num_layers=2, num_heads=2, feed_forward_dim=24, conv_kernel=5)


@pytest.mark.parametrize("names", ["fairseq", "fairseq2"])
def test_published_pretrained_files(tmp_path, names):
    model, state = published(SHAW, names)
    torch.save({"model": state} | ({"model_name": "x"} if names == "fairseq2" else {"cfg": None}), tmp_path / "x.pt")
    checkpoint = load_checkpoint(tmp_path / "x.pt")
    assert (checkpoint.family, checkpoint.format) == ("w2v_bert2", names)
    assert checkpoint.config == SHAW  # the width of the keys tells the heads
    assert not differing(checkpoint.backbone_state, model.state_dict())
    head = checkpoint.heads["pretraining"].tensors
    vars_ = "quantizer.vars" if names == "fairseq" else "quantizer.entries"
    assert torch.equal(head["quantizer.codebook"], state[vars_])
    assert ("code_head.weight" in head) is (names == "fairseq")
    save_checkpoint(tmp_path / "hf", checkpoint, to="hf")
    again = load_checkpoint(tmp_path / "hf")
    assert not differing(again.backbone_state, checkpoint.backbone_state)
    assert not differing(again.heads["pretraining"].tensors, head)


@pytest.mark.parametrize("names", ["fairseq", "fairseq2"])
def test_damaged_pretrained_files(tmp_path, names):
    _, state = published(SHAW, names)
    gone = next(name for name in state if name.endswith("depthwise_conv.weight") and ".1." in name)
    torch.save({"model": {name: tensor for name, tensor in state.items() if name != gone}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointMismatch, match="depthwise_conv"):
        load_checkpoint(tmp_path / "x.pt")
    torch.save({"model": state | {"strange": torch.ones(1)}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointMismatch, match=r"Left over \(1\): strange"):
        load_checkpoint(tmp_path / "x.pt")
    keys = next(name for name in state if "rel_k_embed" in name)
    torch.save({"model": state | {keys: torch.ones(1, 2, 3)}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointMismatch, match="do not tell"):
        load_checkpoint(tmp_path / "x.pt")


def test_another_reach_must_be_given(tmp_path):
    config = W2vBERT2Config(dim=16, num_layers=1, num_heads=2, feed_forward_dim=24, left_reach=5, right_reach=2)
    _, state = published(config, "fairseq2")
    torch.save({"model": state}, tmp_path / "x.pt")
    with pytest.raises(ConfigurationError, match="left_reach"):
        load_checkpoint(tmp_path / "x.pt")
    given = {"left_reach": 5, "right_reach": 2}
    assert load_checkpoint(tmp_path / "x.pt", overrides=given).config == W2vBERT2Config(
        dim=16, num_layers=1, num_heads=2, feed_forward_dim=24, **given
    )


@pytest.mark.parametrize("adapter", [0, 2])
def test_every_tensor_of_the_true_shape_has_one_name_everywhere(adapter):
    config = W2vBERT2Config(
        adapter_layers=adapter, adapter_feed_forward=adapter > 0, adapter_dim=512 if adapter else None
    )
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes_of(config).items()}
    assert adapter or sum(tensor.numel() for tensor in tensors.values()) == 580_493_120
    for table in (HF_W2V_BERT2, *((FAIRSEQ_W2V_BERT2, FAIRSEQ2_W2V_BERT2) if not adapter else ())):
        foreign, homeless = write(tensors, table)
        assert not homeless
        back = read(foreign, table, {})
        assert not back.unknown
        assert {name: tensor.shape for name, tensor in back.backbone.items()} == {
            name: tensor.shape for name, tensor in tensors.items()
        }
