"""Folders of transformers load here, with the same outputs; folders written here load there, nothing missing."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import Checkpoint, Head, differing, load_checkpoint, save_checkpoint, save_pretrained
from sonant.checkpoints.load import make_backbone
from sonant.errors import (
    CheckpointMismatch,
    ConfigurationError,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnknownName,
    UnsupportedCheckpoint,
)

transformers = pytest.importorskip("transformers")

HEADS = {
    "Model": None,
    "ForCTC": "ctc",
    "ForSequenceClassification": "sequence_classification",
    "ForAudioFrameClassification": "frame_classification",
    "ForXVector": "xvector",
    "ForPreTraining": "pretraining",
}
CLASSES = [
    *(("wavlm", kind) for kind in HEADS if kind != "ForPreTraining"),
    *(("hubert", kind) for kind in ("Model", "ForCTC", "ForSequenceClassification")),
    *(("wav2vec2", kind) for kind in HEADS),
]


def reload(model, folder):
    """The class of `model` from a folder; fails where transformers misses, finds or resizes anything."""
    loaded, report = type(model).from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return loaded


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize(("family", "kind"), CLASSES)
def test_there_and_back(tmp_path, theirs_of, agree, family, kind, norm):
    weighted = {} if kind in ("Model", "ForCTC", "ForPreTraining") else {"use_weighted_layer_sum": True}
    theirs = theirs_of(family, kind, norm, **weighted)
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert checkpoint.family == family
    assert checkpoint.format == "hf"
    assert list(checkpoint.heads) == [HEADS[kind]] * (kind != "Model")
    agree(checkpoint, theirs)
    written = save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    assert written.aside == ()
    back = reload(theirs, tmp_path / "ours")
    assert not differing(theirs.state_dict(), back.state_dict())
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["architectures"] == [type(theirs).__name__]
    original = theirs.config.to_dict()
    ours = back.config.to_dict()
    unlike = {name for name in original if original[name] != ours.get(name)}
    assert unlike <= {"dtype", "architectures", "_name_or_path", "transformers_version", "torch_dtype"}


@pytest.mark.parametrize("spelling", ["parametrizations", "weight_g"])
@pytest.mark.parametrize("container", ["safetensors", "bin", "old bin", "shards"])
def test_every_container_and_both_spellings(tmp_path, theirs_of, container, spelling):
    theirs = theirs_of("wavlm", "ForCTC", "layer")
    theirs.save_pretrained(tmp_path)
    expected = load_checkpoint(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    if spelling == "weight_g":
        renames = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        for old, new in renames.items():
            state = {name.replace(old, new): tensor for name, tensor in state.items()}
        assert "wavlm.encoder.pos_conv_embed.conv.weight_g" in state
    match container:
        case "safetensors":
            save_file(state, tmp_path / "model.safetensors")
        case "shards":
            names, shards = list(state), ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
            for i, shard in enumerate(shards):
                save_file({name: state[name] for name in names[i::2]}, tmp_path / shard)
            index = {"metadata": {}, "weight_map": {name: shards[i % 2] for i, name in enumerate(names)}}
            (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        case _:
            torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=container == "bin")
    got = load_checkpoint(tmp_path)
    assert not differing(got.backbone_state, expected.backbone_state)
    assert not differing(got.heads["ctc"].tensors, expected.heads["ctc"].tensors)
    assert got.config == expected.config


def test_a_file_beside_its_config_json_will_do(tmp_path, theirs_of):
    theirs_of().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.dat")
    assert load_checkpoint(tmp_path / "weights.dat").family == "wavlm"
    (tmp_path / "config.json").unlink()
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        load_checkpoint(tmp_path / "weights.dat")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_are_kept(tmp_path, theirs_of, dtype):
    theirs = theirs_of("hubert").to(dtype)
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert {tensor.dtype for tensor in checkpoint.backbone_state.values()} == {dtype}
    save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    assert not differing(theirs.state_dict(), reload(theirs, tmp_path / "ours").state_dict())
    assert next(make_backbone(checkpoint).parameters()).dtype == torch.float32
    assert next(make_backbone(checkpoint, dtype=None).parameters()).dtype == dtype


@pytest.mark.parametrize(("norm", "flag"), [("group", True), ("group", False), ("layer", True), ("layer", False)])
def test_normalization_travels(tmp_path, theirs_of, norm, flag):
    theirs_of("wav2vec2", norm=norm).save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).normalize is (norm == "layer")  # nothing says it: as in the published models
    transformers.Wav2Vec2FeatureExtractor(do_normalize=flag).save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.normalize is flag
    save_checkpoint(tmp_path / "again", checkpoint, to="hf")
    assert transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "again").do_normalize is flag
    assert load_checkpoint(tmp_path, overrides={"normalize": not flag}).normalize is not flag


def test_the_vocabulary_travels(tmp_path, theirs_of):
    theirs_of("wav2vec2", "ForCTC").save_pretrained(tmp_path)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", "A", "É", "'", "ß", "B", "C"]
    (tmp_path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    checkpoint = load_checkpoint(tmp_path)
    metadata = checkpoint.heads["ctc"].metadata
    assert (metadata["blank"], metadata["vocabulary"]) == (0, tokens)
    save_checkpoint(tmp_path / "again", checkpoint, to="hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert tokenizer.convert_ids_to_tokens(range(11)) == tokens
    assert tokenizer.pad_token_id == 0
    assert tokenizer.decode([5, 5, 0, 5, 4, 6]) == "AA É"


def test_the_files_of_a_tokenizer_travel_through_every_format(tmp_path, theirs_of):
    theirs_of("wav2vec2", "ForCTC").save_pretrained(tmp_path / "theirs")
    tables = {lang: {"[PAD]": 0, letter: 1, "|": 2} for lang, letter in (("deu", "ä"), ("fra", "é"))}
    settings = {"target_lang": "fra", "pad_token": "[PAD]", "do_lower_case": True}
    files = {
        "vocab.json": tables,
        "tokenizer_config.json": settings,
        "added_tokens.json": {"<s>": 3},
        "special_tokens_map.json": {"bos_token": "<s>"},
    }
    for name, content in files.items():
        (tmp_path / "theirs" / name).write_text(json.dumps(content))
    source = tmp_path / "theirs"
    for format_ in ("sonant", "fairseq", "torchaudio", "hf"):
        save_checkpoint(tmp_path / format_, load_checkpoint(source), to=format_)
        source = tmp_path / format_
    assert {name: json.loads((source / name).read_text()) for name in files} == files
    assert load_checkpoint(source).heads["ctc"].metadata["vocabulary"][:4] == ["[PAD]", "é", "|", "<s>"]


def test_labels_travel(tmp_path, theirs_of):
    theirs = theirs_of("wavlm", "ForSequenceClassification")
    theirs.config.id2label = {0: "anger", 1: "joy", 2: "calm"}
    theirs.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.heads["sequence_classification"].metadata == {"labels": ["anger", "joy", "calm"]}


def test_without_a_mask_embedding(tmp_path, theirs_of):
    theirs = theirs_of("wav2vec2", mask_time_prob=0.0, mask_feature_prob=0.0)
    theirs.save_pretrained(tmp_path / "theirs")
    checkpoint = load_checkpoint(tmp_path / "theirs")
    assert "mask_embedding" not in checkpoint.backbone_state
    one, other = make_backbone(checkpoint), make_backbone(checkpoint)
    assert torch.equal(one.mask_embedding, other.mask_embedding)
    save_checkpoint(tmp_path / "ours", checkpoint, to="hf")
    reload(theirs, tmp_path / "ours")


def test_the_old_name_of_the_mask_embedding(tmp_path, theirs_of):
    theirs_of().save_pretrained(tmp_path)
    expected = load_checkpoint(tmp_path).backbone_state["mask_embedding"]
    state = load_file(tmp_path / "model.safetensors")
    expected = expected.clone()
    state["mask_time_emb_vector"] = state.pop("masked_spec_embed")
    save_file(state, tmp_path / "model.safetensors")
    assert torch.equal(load_checkpoint(tmp_path).backbone_state["mask_embedding"], expected)


@pytest.mark.parametrize("family", ["wavlm", "hubert", "wav2vec2"])
def test_heads_without_a_class_lie_beside_the_model(tmp_path, checkpoint_of, heads_of, family):
    checkpoint = checkpoint_of(family, heads=heads_of(family))
    written = save_checkpoint(tmp_path, checkpoint, to="hf")
    assert written.aside == tuple(f"the head {kind!r}" for kind in checkpoint.heads if kind != "ctc")
    got = load_checkpoint(tmp_path)
    assert not differing(got.backbone_state, checkpoint.backbone_state)
    for kind, head in checkpoint.heads.items():
        assert not differing(got.heads[kind].tensors, head.tensors)
        assert head.metadata.items() <= got.heads[kind].metadata.items()
    loaded, report = transformers.AutoModelForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert torch.equal(loaded.lm_head.weight, checkpoint.heads["ctc"].tensors["weight"])
    save_checkpoint(tmp_path, Checkpoint(checkpoint.config, checkpoint.backbone_state), to="hf")
    assert load_checkpoint(tmp_path).heads == {}


def test_save_pretrained(tmp_path, config_of, heads_of, agree):
    from sonant.models import build

    backbone = build(config_of("wavlm", "layer"))
    heads = {"pretraining": heads_of("wavlm")["pretraining"]}
    save_pretrained(backbone, tmp_path / "float", heads=heads, metadata={"hf": {"mask_time_prob": 0.075}})
    got = load_checkpoint(tmp_path / "float")
    assert not differing(got.backbone_state, backbone.state_dict())
    assert got.config == backbone.config
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "float").eval()
    assert theirs.config.mask_time_prob == 0.075
    agree(got, theirs)
    save_pretrained(backbone, tmp_path / "half", dtype=torch.float16)
    half = load_checkpoint(tmp_path / "half").backbone_state
    assert not differing(half, {name: tensor.half() for name, tensor in backbone.state_dict().items()})


@pytest.mark.parametrize("groups", [2, 3])
def test_a_head_as_the_objective_gives_it_is_loaded_for_pretraining(tmp_path, config_of, groups):
    """Straight from our contrast, without notes: the tensors tell how many groups there are."""
    from sonant.models import build
    from sonant.pretraining import MaskedContrast, MaskedContrastConfig

    config = MaskedContrastConfig(num_codebooks=groups, codebook_size=5, quantized_dim=12, projection_dim=10)
    objective = MaskedContrast(build(config_of("wav2vec2")), config)
    save_pretrained(objective.backbone, tmp_path, heads={"pretraining": Head(objective.head_tensors())})
    theirs, report = transformers.Wav2Vec2ForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert theirs.config.num_codevector_groups == groups
    assert theirs.config.num_codevectors_per_group == 5
    head = load_checkpoint(tmp_path).heads["pretraining"]
    assert not differing(head.tensors, objective.head_tensors())
    assert torch.equal(theirs.project_hid.weight, head.tensors["projection.weight"])
    assert torch.equal(theirs.quantizer.codevectors, head.tensors["quantizer.codebook"])


@pytest.mark.parametrize("to", ["hf", "sonant", "fairseq", "torchaudio"])
def test_the_head_of_any_objective_is_kept(tmp_path, checkpoint_of, to):
    """One that no published model of the family has."""
    odd = Head({"codes.weight": torch.randn(3, 16), "projection.weight": torch.randn(5, 4), "scale": torch.ones(())})
    checkpoint = replace(checkpoint_of("wav2vec2"), heads={"pretraining": odd})
    written = save_checkpoint(tmp_path / "x", checkpoint, to=to)
    assert ("the head 'pretraining'" in written.aside) is (to != "sonant")
    assert not differing(load_checkpoint(tmp_path / "x").heads["pretraining"].tensors, odd.tensors)
    if to == "hf":
        theirs, report = transformers.AutoModel.from_pretrained(tmp_path / "x", output_loading_info=True)
        assert type(theirs).__name__ == "Wav2Vec2Model"
        assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("conv_pos_batch_norm", True, "batch norm"),
        ("feat_proj_layer_norm", False, "layer norm"),
        ("hidden_act", "relu", "activation"),
        ("feat_extract_norm", "batch", "batch"),
    ],
)
def test_parts_that_we_do_not_have_are_named(tmp_path, theirs_of, setting, value, word):
    theirs_of("wav2vec2").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {setting: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedCheckpoint, match=word) as caught:
        load_checkpoint(tmp_path)
    assert setting in str(caught.value)


def test_a_batch_norm_in_the_tensors_alone_is_named(tmp_path, theirs_of):
    theirs_of("hubert", conv_pos_batch_norm=True).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"conv_pos_batch_norm": False}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointMismatch, match="batch norm"):
        load_checkpoint(tmp_path)


def test_another_model_type_is_named(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UnknownCheckpoint, match="'bert'"):
        load_checkpoint(tmp_path)


def test_conv_biases_are_believed_from_the_tensors(tmp_path, theirs_of, agree):
    theirs = theirs_of("hubert", "Model", "layer")
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"conv_bias": True}  # as hubert-large's says
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.config.conv_bias is False
    agree(checkpoint, theirs)


class TestDamage:
    """One folder, broken in one way each."""

    @pytest.fixture
    def folder(self, tmp_path, theirs_of):
        theirs_of("wavlm", "ForCTC").save_pretrained(tmp_path)
        return tmp_path

    def change(self, folder, **tensors):
        state = load_file(folder / "model.safetensors") | tensors
        save_file({name: tensor for name, tensor in state.items() if tensor is not None}, folder / "model.safetensors")

    def test_a_missing_tensor_is_listed(self, folder):
        self.change(folder, **{"wavlm.encoder.layers.1.attention.k_proj.bias": None, "lm_head.bias": None})
        with pytest.raises(CheckpointMismatch) as caught:
            load_checkpoint(folder)
        assert "Missing (2): encoder.layers.1.attention.k_proj.bias, lm_head.bias" in str(caught.value).replace(
            "*", "1"
        )

    def test_a_tensor_left_over_is_listed(self, folder):
        self.change(folder, **{"wavlm.encoder.nonsense": torch.ones(1)})
        with pytest.raises(CheckpointMismatch, match=r"Left over \(1\): encoder\.nonsense"):
            load_checkpoint(folder)

    def test_many_are_grouped(self, folder):
        self.change(
            folder,
            **{f"wavlm.part{i}.x": torch.ones(1) for i in range(30)},
            **{f"wavlm.a.{i}.b": torch.ones(1) for i in range(9)},
        )
        with pytest.raises(CheckpointMismatch) as caught:
            load_checkpoint(folder)
        assert "Left over (39)" in str(caught.value)
        assert "a.*.b (9 times)" in str(caught.value)
        assert "and 11 more kinds" in str(caught.value)

    def test_a_wrong_shape_is_told_with_the_right_one(self, folder):
        self.change(folder, **{"wavlm.encoder.layer_norm.weight": torch.ones(17), "lm_head.weight": torch.ones(11, 15)})
        with pytest.raises(CheckpointMismatch, match="Wrong shape") as caught:
            load_checkpoint(folder)
        assert "encoder.layer_norm.weight is (17,), expected (16,)" in str(caught.value)
        assert "lm_head.weight is (11, 15), expected 16 inputs" in str(caught.value)

    def test_the_configuration_of_another_model(self, folder):
        config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 1000}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointMismatch, match=r"1000 layers, the file has 58 tensors in all"):
            load_checkpoint(folder)

    @pytest.mark.parametrize("value", ["sixteen", 1.5, [16], {}])
    def test_nonsense_in_the_configuration(self, folder, value):
        config = json.loads((folder / "config.json").read_text()) | {"hidden_size": value}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(CorruptedCheckpoint, match="hidden_size"):
            load_checkpoint(folder)

    @pytest.mark.parametrize("text", ["", "{", "[]", "\ud7ff", "[" * 100000])
    def test_a_broken_configuration(self, folder, text):
        (folder / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(CorruptedCheckpoint, match=r"config\.json"):
            load_checkpoint(folder)

    def test_broken_weights(self, folder):
        whole = (folder / "model.safetensors").read_bytes()
        flipped = bytearray(whole)
        flipped[10] ^= 8
        for data in (
            b"",
            whole[:4],
            whole[:100],
            whole[: len(whole) // 2],
            whole[:-1],
            bytes(flipped),
            b"\xff" * 8 + whole[8:],
        ):
            (folder / "model.safetensors").write_bytes(data)
            with pytest.raises((CorruptedCheckpoint, UnknownCheckpoint), match=r"model\.safetensors"):
                load_checkpoint(folder)

    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        with pytest.raises(UnknownCheckpoint, match="no weights"):
            load_checkpoint(folder)

    def test_a_missing_shard(self, folder):
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(CheckpointMismatch, match=r"lacks the shard model-2\.safetensors"):
            load_checkpoint(folder)

    def test_a_shard_elsewhere(self, folder):
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {"a": "../../etc/passwd"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(CorruptedCheckpoint, match="no file beside it"):
            load_checkpoint(folder)

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("num_heads", 0),
            ("num_heads", 3),
            ("dim", "16"),
            ("dropout", 1.5),
            ("dropout", float("nan")),
            ("pre_norm", 1),
            ("conv_strides", (5, 2, 2, 2, 2, 2, -2)),
            ("conv_strides", (5,)),
            ("extractor_norm", "batch"),
            ("sampling_rate", None),
            ("num_layers", 10**6),
            ("num_layers", 10**30),
        ],
    )
    def test_nonsense_to_override(self, folder, setting, value):
        with pytest.raises(ConfigurationError, match=setting):
            load_checkpoint(folder, overrides={setting: value})

    @pytest.mark.parametrize(("setting", "value"), [("sampling_rate", "16k"), ("do_normalize", "yes")])
    def test_nonsense_in_the_preprocessor(self, folder, setting, value):
        (folder / "preprocessor_config.json").write_text(json.dumps({setting: value}))
        with pytest.raises(ConfigurationError, match=setting.removeprefix("do_")):
            load_checkpoint(folder)

    def test_an_unknown_setting_to_override(self, folder):
        with pytest.raises(UnknownName, match="num_heads"):
            load_checkpoint(folder, overrides={"num_head": 2})


def test_two_spellings_at_once_are_refused(tmp_path, theirs_of):
    theirs_of().save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["encoder.pos_conv_embed.conv.weight_g"] = (
        state["encoder.pos_conv_embed.conv.parametrizations.weight.original0"] + 1
    )
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match="pos_conv_embed"):
        load_checkpoint(tmp_path)


def test_the_other_epsilon_travels_here_and_nowhere_else(tmp_path, checkpoint_of):
    checkpoint = checkpoint_of()
    checkpoint = replace(checkpoint, config=replace(checkpoint.config, layer_norm_eps=1e-6))
    save_checkpoint(tmp_path / "hf", checkpoint, to="hf")
    assert load_checkpoint(tmp_path / "hf").config.layer_norm_eps == 1e-6
    for to in ("unilm", "fairseq", "torchaudio"):
        with pytest.raises(ConfigurationError, match="layer_norm_eps"):
            save_checkpoint(tmp_path / to, checkpoint, to=to)
