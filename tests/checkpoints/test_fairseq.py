"""Files in the names and containers of fairseq, unilm and s3prl, as their own code writes them."""

import argparse
from collections import OrderedDict

import pytest
import torch

from sonant.checkpoints import differing, load_checkpoint, save_checkpoint
from sonant.checkpoints.fairseq_config import parse_convs
from sonant.errors import (
    CheckpointMismatch,
    ConfigurationError,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnsupportedCheckpoint,
)

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", "E", "T"]


@pytest.fixture
def settings_of():
    """fairseq's settings of the tiny model."""

    def make(norm="group", **others):
        return {
            "conv_feature_layers": "[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8,2,2)] + [(8,2,2)]",
            "encoder_embed_dim": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_embed_dim": 24,
            "conv_pos": 8,
            "conv_pos_groups": 2,
            "activation_fn": "gelu",
            "extractor_mode": "layer_norm" if norm == "layer" else "default",
            "layer_norm_first": norm == "layer",
            "conv_bias": False,  # wrong for the wav2vec 2.0 below: the tensors decide
            **others,
        }

    return make


def contrast():
    shapes = {
        "quantizer.vars": (1, 10, 6),
        "quantizer.weight_proj.weight": (10, 8),
        "quantizer.weight_proj.bias": (10,),
        "project_q.weight": (10, 12),
        "project_q.bias": (10,),
        "final_proj.weight": (10, 16),
        "final_proj.bias": (10,),
    }
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def prediction():
    return {
        "final_proj.weight": torch.randn(6, 16),
        "final_proj.bias": torch.randn(6),
        "label_embs_concat": torch.randn(9, 6),
    }


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("half", [False, True])
def test_unilm(tmp_path, theirs_of, fairseq_names, settings_of, agree, norm, half):
    theirs = theirs_of("wavlm", norm=norm)
    if half:
        theirs = theirs.half().float()
    cfg = settings_of(
        norm, relative_position_embedding=True, gru_rel_pos=True, max_distance=800, normalize=norm == "layer"
    )
    state = fairseq_names(theirs.state_dict(), norm)
    state = {name: tensor.half() for name, tensor in state.items()} if half else state
    torch.save({"cfg": cfg, "model": OrderedDict(state)}, tmp_path / "WavLM.pt")
    checkpoint = load_checkpoint(tmp_path / "WavLM.pt")
    assert (checkpoint.format, checkpoint.family, checkpoint.normalize) == ("unilm", "wavlm", norm == "layer")
    assert checkpoint.config.max_distance == 800
    agree(checkpoint, theirs)
    save_checkpoint(tmp_path / "again.pt", checkpoint, to="unilm")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert not differing(again["model"], state)
    unlike = {name for name in cfg if again["cfg"][name] != cfg[name]}
    assert unlike <= {"conv_feature_layers"}
    assert parse_convs(again["cfg"]["conv_feature_layers"], "") == parse_convs(cfg["conv_feature_layers"], "")


@pytest.mark.parametrize("container", ["args", "plain", "omegaconf"])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("family", "norm"), [("wav2vec2", "group"), ("wav2vec2", "layer"), ("hubert", "layer"), ("wavlm", "group")]
)
def test_pretrained(tmp_path, theirs_of, fairseq_names, settings_of, agree, toolkit, family, norm, container, zipped):
    theirs = theirs_of(family, norm=norm)
    extra = {"relative_position_embedding": True, "gru_rel_pos": True, "max_distance": 800} if family == "wavlm" else {}
    model = {
        "_name": family,
        **settings_of(norm, **extra),
        "extractor_mode": toolkit.Mode(settings_of(norm)["extractor_mode"]),
    }
    head = contrast() if family == "wav2vec2" else prediction()
    state = {
        "model": OrderedDict(fairseq_names(theirs.state_dict(), norm) | head),
        "optimizer_history": [{"lr": [0.1]}],
    }
    if family == "hubert":
        state["task_state"] = {"dictionaries": [toolkit.dictionary(["0", "1", "2"])]}
    if container == "args":
        flat = {name: value for name, value in model.items() if name != "_name"}
        state["args"] = argparse.Namespace(arch=family, task="audio_pretraining", normalize=norm == "layer", **flat)
    else:
        cfg = {"model": model, "task": {"_name": "audio_pretraining", "normalize": norm == "layer", "labels": ["km"]}}
        state |= {"args": None, "cfg": toolkit.omega(cfg) if container == "omegaconf" else cfg}
    torch.save(state, tmp_path / "f.pt", _use_new_zipfile_serialization=zipped)
    toolkit.forget()
    checkpoint = load_checkpoint(tmp_path / "f.pt")
    assert (checkpoint.format, checkpoint.family, checkpoint.normalize) == ("fairseq", family, norm == "layer")
    assert checkpoint.config.conv_bias is (family == "wav2vec2" and norm == "layer")
    agree(checkpoint, theirs)
    got = checkpoint.heads["pretraining"]
    if family == "wav2vec2":
        assert torch.equal(got.tensors["quantizer.codebook"], head["quantizer.vars"])
        assert got.metadata == {"num_codebooks": 2}
    else:
        assert torch.equal(got.tensors["label_embeddings"], head["label_embs_concat"])
        assert got.metadata == ({"dictionaries": [["0", "1", "2"]]} if family == "hubert" else {})
    save_checkpoint(tmp_path / "again.pt", checkpoint, to="fairseq")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert not differing(again["model"], state["model"])
    assert again["cfg"]["task"]["normalize"] is (norm == "layer")
    assert again["cfg"]["model"]["_name"] == family


@pytest.mark.parametrize("pretraining", ["omegaconf", "namespace", "none"])
@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_fine_tuned(tmp_path, theirs_of, fairseq_names, settings_of, agree, toolkit, family, pretraining):
    theirs = theirs_of(family, norm="layer")
    names = fairseq_names(theirs.state_dict(), "layer")
    if family == "hubert":
        names["label_embs_concat"] = torch.randn(9, 6)  # stays there after fine-tuning; its projection does not
    state = {f"w2v_encoder.w2v_model.{name}": tensor for name, tensor in names.items()}
    state |= {"w2v_encoder.proj.weight": torch.randn(7, 16), "w2v_encoder.proj.bias": torch.randn(7)}
    inner = {"model": {"_name": family, **settings_of("layer")}, "task": {"normalize": True}}
    outer = {"_name": f"{family}_ctc".replace("2vec2", "2vec"), "w2v_path": "/elsewhere.pt", "dropout": 0.7}
    w2v_args = {
        "omegaconf": toolkit.omega(inner),
        "namespace": argparse.Namespace(normalize=True, arch=family, **settings_of("layer")),
        "none": None,
    }[pretraining]
    cfg = {"model": {**outer, "w2v_args": w2v_args}, "task": {"_name": "audio_finetuning", "normalize": True}}
    whole = {"args": None, "cfg": cfg, "model": state, "task_state": {"target_dictionary": toolkit.dictionary(SYMBOLS)}}
    torch.save(whole, tmp_path / "tuned.pt")
    toolkit.forget()
    if pretraining == "none":  # the shapes tell all but the heads
        with pytest.raises(ConfigurationError, match="num_heads"):
            load_checkpoint(tmp_path / "tuned.pt")
    checkpoint = load_checkpoint(tmp_path / "tuned.pt", overrides={"num_heads": 2} if pretraining == "none" else None)
    assert checkpoint.family == family
    assert checkpoint.normalize is True
    agree(checkpoint, theirs)
    head = checkpoint.heads["ctc"]
    assert torch.equal(head.tensors["weight"], state["w2v_encoder.proj.weight"])
    assert head.metadata == {"blank": 0, "vocabulary": ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "T"]}
    save_checkpoint(tmp_path / "again.pt", checkpoint, to="fairseq")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert not differing(again["model"], state)
    assert again["cfg"]["model"]["w2v_args"]["model"]["encoder_layers"] == 2
    assert load_checkpoint(tmp_path / "again.pt").heads["ctc"].metadata == head.metadata


@pytest.mark.parametrize(
    ("lines", "labels", "vocabulary"),
    [
        ("| 94802\nE 51860\nT 38431\n", "ltr", ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "T"]),
        ("AH 5\nT 4 #fairseq:overwrite\nSH 3\n", "phn", ["<pad>", "<s>", "</s>", "<unk>", "AH", "T", "SH"]),
        ("| 94802\nE 51860\n", "ltr", None),  # of another model: the head has seven tokens
    ],
)
def test_a_dictionary_beside_the_file(tmp_path, theirs_of, fairseq_names, settings_of, lines, labels, vocabulary):
    names = fairseq_names(theirs_of("wav2vec2", norm="layer").state_dict(), "layer")
    state = {f"w2v_encoder.w2v_model.{name}": tensor for name, tensor in names.items()}
    state |= {"w2v_encoder.proj.weight": torch.randn(7, 16), "w2v_encoder.proj.bias": torch.randn(7)}
    inner = {"model": {"_name": "wav2vec2", **settings_of("layer")}, "task": {"normalize": True}}
    cfg = {"model": {"_name": "wav2vec_ctc", "w2v_args": inner}, "task": {"normalize": True, "labels": labels}}
    torch.save({"args": None, "cfg": cfg, "model": state}, tmp_path / "tuned.pt")
    (tmp_path / f"dict.{labels}.txt").write_text(lines)
    metadata = load_checkpoint(tmp_path / "tuned.pt").heads["ctc"].metadata
    assert metadata.get("vocabulary") == vocabulary
    assert ("tokenizer" in metadata) == (labels == "phn")
    (tmp_path / f"dict.{labels}.txt").write_text("no counts\n")
    with pytest.raises(CorruptedCheckpoint, match="line 1 of the dictionary"):
        load_checkpoint(tmp_path / "tuned.pt")


@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_s3prl(tmp_path, theirs_of, fairseq_names, settings_of, agree, family):
    theirs = theirs_of(family)
    head = contrast() if family == "wav2vec2" else prediction()
    state = {
        "task_cfg": {"normalize": False, "sample_rate": 16000},
        "model_cfg": settings_of(),
        "model_weight": fairseq_names(theirs.state_dict(), "group") | head,
    }
    if family == "hubert":
        state["dictionaries_symbols"] = [["0", "1"]]
    torch.save(state, tmp_path / "s3prl.pt")
    checkpoint = load_checkpoint(tmp_path / "s3prl.pt")
    assert (checkpoint.format, checkpoint.family, checkpoint.normalize) == ("s3prl", family, False)
    agree(checkpoint, theirs)
    assert list(checkpoint.heads) == ["pretraining"]


class TestRefusals:
    @pytest.fixture
    def write(self, tmp_path, theirs_of, fairseq_names, settings_of):
        """Write a wav2vec 2.0 with some settings and tensors changed, and return the file."""

        def make(tensors=(), prefix="", **settings):
            state = fairseq_names(theirs_of("wav2vec2").state_dict(), "group") | contrast() | dict(tensors)
            state = {prefix + name: tensor for name, tensor in state.items() if tensor is not None}
            cfg = {"model": {"_name": "wav2vec2", **settings_of(), **settings}, "task": {}}
            torch.save({"cfg": cfg, "model": state}, tmp_path / "f.pt")
            return tmp_path / "f.pt"

        return make

    def test_the_untouched_one_loads(self, write):
        assert load_checkpoint(write()).family == "wav2vec2"

    @pytest.mark.parametrize(
        ("setting", "value", "word"),
        [
            ("activation_fn", "relu", "activation"),
            ("layer_type", "conformer", "kind of layer"),
            ("conv_pos_batch_norm", True, "batch norm"),
            ("pos_conv_depth", 5, "stack"),
            ("quantize_input", True, "quantized"),
            ("target_glu", True, "gated"),
            ("extractor_mode", "mel", "extractor_mode"),
            ("_name", "data2vec_multi", "data2vec"),
            ("_name", "data2vec_audio", "pos_conv_depth=1"),
        ],
    )
    def test_parts_that_we_do_not_have(self, write, setting, value, word):
        with pytest.raises(UnsupportedCheckpoint, match=word):
            load_checkpoint(write(**{setting: value}))

    def test_a_decoder(self, write):
        with pytest.raises(CheckpointMismatch, match="sequence to sequence"):
            load_checkpoint(write({"decoder.layers.0.fc1.weight": torch.ones(2)}))

    def test_missing_and_left_over(self, write):
        with pytest.raises(CheckpointMismatch) as caught:
            load_checkpoint(
                write({"encoder.layers.0.fc1.bias": None, "project_q.bias": None, "strange": torch.ones(1)})
            )
        assert "Missing (2): encoder.layers.0.fc1.bias, project_q.bias" in str(caught.value).replace("*", "0")
        assert "Left over (1): strange" in str(caught.value)

    def test_a_tensor_with_and_without_the_prefix(self, write):
        with pytest.raises(CheckpointMismatch, match="prefix"):
            load_checkpoint(write({"w2v_model.mask_emb": torch.ones(16)}))

    def test_a_projection_that_is_not_there(self, write):
        changes = {"post_extract_proj.weight": None, "post_extract_proj.bias": None}
        with pytest.raises(UnsupportedCheckpoint, match="post_extract_proj"):
            load_checkpoint(write(changes, encoder_embed_dim=8))

    @pytest.mark.parametrize("value", ["twelve", 2.5, None])
    def test_nonsense_in_the_settings(self, write, value):
        with pytest.raises(CorruptedCheckpoint, match="encoder_layers"):
            load_checkpoint(write(encoder_layers=value))

    def test_no_settings(self, tmp_path):
        torch.save({"args": None, "cfg": None, "model": {"a": torch.ones(1)}}, tmp_path / "f.pt")
        with pytest.raises(CorruptedCheckpoint, match="neither"):
            load_checkpoint(tmp_path / "f.pt")
        torch.save({"cfg": {"x": 1}, "model": {"a": torch.ones(1)}}, tmp_path / "f.pt")
        with pytest.raises(UnknownCheckpoint, match="neither"):
            load_checkpoint(tmp_path / "f.pt")

    def test_unilm_without_relative_positions(self, tmp_path, theirs_of, fairseq_names, settings_of):
        state = fairseq_names(theirs_of("hubert").state_dict(), "group")
        torch.save({"cfg": settings_of(), "model": state}, tmp_path / "sat.pt")
        with pytest.raises(UnsupportedCheckpoint, match="relative_position_embedding"):
            load_checkpoint(tmp_path / "sat.pt")

    def test_what_the_formats_cannot_say(self, tmp_path, checkpoint_of):
        with pytest.raises(ConfigurationError, match="it holds wavlm"):
            save_checkpoint(tmp_path / "x.pt", checkpoint_of("hubert"), to="unilm")
        narrow = checkpoint_of("wavlm", conv_channels=(8,) * 6 + (16,))
        for to in ("unilm", "fairseq"):
            with pytest.raises(ConfigurationError, match="no projection"):
                save_checkpoint(tmp_path / "x.pt", narrow, to=to)


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2", [(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2]),
        ("[(8, 10, 5), (8, 2, 2)]", [(8, 10, 5), (8, 2, 2)]),
        ("([(1,2,3)] + [(4,5,6)]) * 2", [(1, 2, 3), (4, 5, 6)] * 2),
    ],
)
def test_lists_of_convolutions(text, layers):
    assert parse_convs(text, "x") == layers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "[(1,2)]",
        "[(1,2,3)] * 10**9",
        "[(1,2,3)] * 1000000000",
        "[(1,2,3)] + 1",
        "[(1,2,3)] * [1]",
        "__import__('os')",
        "[x for x in y]",
        "(" * 9999,
        None,
    ],
)
def test_other_lists_are_refused_without_being_run(text):
    with pytest.raises(CorruptedCheckpoint, match="conv_feature_layers"):
        parse_convs(text, "x")
