"""wav2vec and vq-wav2vec in the containers of fairseq and s3prl, as their own code writes them.

Names and shapes are those of fairseq's modules, written here apart from the tables under test. That the numbers that
come out are the original's, tests/parity shows.
"""

import argparse
from collections import OrderedDict

import pytest
import torch

from sonant.checkpoints import Head, differing, load_checkpoint, make_backbone, save_checkpoint
from sonant.checkpoints.convert import convert_checkpoint
from sonant.errors import (
    CheckpointMismatch,
    ConfigurationError,
    CorruptedCheckpoint,
    UnknownName,
    UnsafeCheckpoint,
    UnsupportedCheckpoint,
)
from sonant.layers.packed import Packed
from sonant.models import VQWav2VecConfig, Wav2VecConfig

CONVS, CONTEXT = [(12, 10, 5), (12, 8, 4), (12, 4, 2), (12, 1, 1)], [2, 3]
COMMON = {
    "conv_feature_layers": str(CONVS),
    "conv_aggregator_layers": "[(12, 2, 1), (12, 3, 1)]",
    "prediction_steps": 5,
    "num_negatives": 10,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
    "log_compression": True,
    "offset": "auto",
    "vq_type": "none",
}
QUANTIZERS = {
    "none": {},
    "gumbel": {"vq_type": "gumbel", "vq_depth": 2, "combine_groups": True, "vq_vars": 7, "vq_temp": "(2,0.5,0.999995)"},
    "gumbel, one layer": {"vq_type": "gumbel", "vq_depth": 1, "combine_groups": False, "vq_vars": 7, "vq_groups": 3},
    "kmeans": {"vq_type": "kmeans", "combine_groups": True, "vq_vars": 7, "vq_gamma": 0.25},
    "kmeans, apart": {"vq_type": "kmeans", "combine_groups": False, "vq_vars": 7, "vq_groups": 3, "vq_dim": 12},
}


def tensors(quantizer="none"):
    """The state dict of the original model, with random weights."""
    shapes, inputs = {}, 1
    for i, (width, kernel, _) in enumerate(CONVS):
        shapes[f"feature_extractor.conv_layers.{i}.0.weight"] = (width, inputs, kernel)
        shapes[f"feature_extractor.conv_layers.{i}.2.weight"] = (width,)
        shapes[f"feature_extractor.conv_layers.{i}.2.bias"] = (width,)
        inputs = width
    for i, kernel in enumerate(CONTEXT):
        shapes[f"feature_aggregator.conv_layers.{i}.1.weight"] = (12, 12, kernel)
        for name in ("1.bias", "3.weight", "3.bias"):
            shapes[f"feature_aggregator.conv_layers.{i}.{name}"] = (12,)
    shapes["wav2vec_predictions.project_to_steps.weight"] = (12, 12, 1, 5)
    shapes["wav2vec_predictions.project_to_steps.bias"] = (12,)
    vq = "vector_quantizer."
    shapes |= {
        "none": {},
        "gumbel": {
            f"{vq}vars": (1, 7, 6),
            f"{vq}weight_proj.0.0.weight": (24, 12),
            f"{vq}weight_proj.0.0.bias": (24,),
            f"{vq}weight_proj.1.weight": (14, 24),
            f"{vq}weight_proj.1.bias": (14,),
        },
        "gumbel, one layer": {
            f"{vq}vars": (1, 21, 4),
            f"{vq}weight_proj.weight": (21, 12),
            f"{vq}weight_proj.bias": (21,),
        },
        "kmeans": {
            f"{vq}embedding": (7, 1, 6),
            f"{vq}projection.0.weight": (12, 6, 1),
            f"{vq}projection.1.weight": (12,),
            f"{vq}projection.1.bias": (12,),
        },
        "kmeans, apart": {
            f"{vq}embedding": (7, 3, 4),
            f"{vq}projection.0.weight": (12, 4, 1),
            f"{vq}projection.1.weight": (12,),
            f"{vq}projection.1.bias": (12,),
        },
    }[quantizer]
    torch.manual_seed(0)
    return OrderedDict((name, torch.randn(shape)) for name, shape in shapes.items())


@pytest.fixture
def write(tmp_path, toolkit):
    """Write a file in one of the containers, with some settings and tensors changed (None takes one away)."""

    def make(quantizer="none", container="args", changes=(), zipped=True, **settings):
        options = {**COMMON, **QUANTIZERS[quantizer], **settings}
        options = {name: value for name, value in options.items() if value is not ...}
        state = {name: tensor for name, tensor in (tensors(quantizer) | dict(changes)).items() if tensor is not None}
        task = {"_name": "audio_pretraining", "sample_rate": 16000, "normalize": False}
        match container:
            case "args":  # the task is of a name that today's fairseq does not know
                args = argparse.Namespace(arch="wav2vec", task="speech_pretraining", criterion="wav2vec", **options)
                whole = {"args": args, "model": state, "optimizer_history": [{"num_updates": 3}]}
            case "cfg":
                whole = {"args": None, "cfg": {"model": {"_name": "wav2vec", **options}, "task": task}, "model": state}
            case "omegaconf":
                tree = toolkit.omega({"model": {"_name": "wav2vec", **options}, "task": task})
                whole = {"args": None, "cfg": tree, "model": state}
            case "s3prl":
                whole = {"task_cfg": task, "model_cfg": options, "model_weight": state}
        torch.save(whole, tmp_path / "f.pt", _use_new_zipfile_serialization=zipped)
        toolkit.forget()
        return tmp_path / "f.pt"

    return make


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("container", ["args", "cfg", "omegaconf", "s3prl"])
def test_there_and_back(tmp_path, write, quantizer, container):
    path = write(quantizer, container, zipped=container != "args")
    checkpoint = load_checkpoint(path)
    assert checkpoint.family == ("wav2vec" if quantizer == "none" else "vq_wav2vec")
    assert checkpoint.format == ("s3prl" if container == "s3prl" else "fairseq")
    assert checkpoint.normalize is False
    config = checkpoint.config
    assert config.conv_kernels == (10, 8, 4, 1)
    assert config.conv_strides == (5, 4, 2, 1)
    assert config.context_kernels == (2, 3)
    assert config.skip_connections
    assert config.log_compression
    head = checkpoint.heads["pretraining"]
    assert head.tensors["steps.weight"].shape == (12, 12, 1, 5)
    assert head.metadata == {}
    states = make_backbone(checkpoint)(Packed.pack([torch.randn(900), torch.randn(400)])).hidden_states
    assert [len(state) for state in states.values()] == [20 + 8] * 3
    save_checkpoint(tmp_path / "again.pt", checkpoint, to="fairseq")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert not differing(again["model"], tensors(quantizer))
    model = again["cfg"]["model"]
    assert model["_name"] == "wav2vec"
    assert {name: model[name] for name in ("prediction_steps", "residual_scale", "vq_type")} == {
        "prediction_steps": 5,
        "residual_scale": 0.5,
        "vq_type": QUANTIZERS[quantizer].get("vq_type", "none"),
    }
    assert model.items() >= {name: value for name, value in QUANTIZERS[quantizer].items() if name != "vq_depth"}.items()
    assert load_checkpoint(tmp_path / "again.pt").config == config


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_through_our_own_folder(tmp_path, write, quantizer):
    report = convert_checkpoint(write(quantizer), tmp_path / "own", to="sonant")
    assert report.faithful
    assert (report.source_format, report.format, report.heads) == ("fairseq", "sonant", ("pretraining",))
    back = convert_checkpoint(tmp_path / "own", tmp_path / "back.pt", to="fairseq")
    assert back.faithful
    assert back.aside == ()


def test_settings(write):
    """Each is the setting of ours that it means."""
    assert load_checkpoint(write()).config == Wav2VecConfig(
        conv_channels=(12,) * 4,
        conv_kernels=(10, 8, 4, 1),
        conv_strides=(5, 4, 2, 1),
        context_kernels=(2, 3),
        log_compression=True,
        skip_connections=True,
    )
    others = {"log_compression": False, "skip_connections_agg": False, "agg_zero_pad": True, "activation": "gelu"}
    config = load_checkpoint(write(**others, dropout=0.25, residual_scale=0.7)).config
    assert (config.log_compression, config.skip_connections) == (False, False)
    assert (config.zero_padding, config.activation, config.dropout) == (True, "gelu", 0.25)
    config = load_checkpoint(write("gumbel, one layer")).config
    assert isinstance(config, VQWav2VecConfig)
    assert (config.quantizer, config.num_codebooks, config.codebook_size) == ("gumbel", 3, 7)
    assert (config.shared_codebook, config.projection_depth) == (False, 1)
    assert load_checkpoint(write(offset="4")).heads["pretraining"].metadata == {"offset": 4}


@pytest.mark.parametrize(("container", "default"), [("args", False), ("cfg", True), ("s3prl", True)])
def test_options_that_a_file_leaves_out(write, container, default):
    """fairseq's defaults turned round when it left argparse."""
    path = write(container=container, log_compression=..., skip_connections_agg=..., residual_scale=..., vq_type=...)
    config = load_checkpoint(path).config
    assert (config.log_compression, config.skip_connections) == (default, default)
    assert config.activation == "relu"  # there was no other in the first version


def test_the_first_version(write):
    """Its options had neither an activation nor a quantizer, but an encoder."""
    path = write(vq_type=..., encoder="cnn", aggregator="cnn", project_features="none", cross_sample_negatives=False)
    assert load_checkpoint(path).family == "wav2vec"


def test_overrides_win(write):
    assert load_checkpoint(write(), overrides={"normalize": True}).normalize is True
    with pytest.raises(UnknownName, match="context_kernels"):
        load_checkpoint(write(), overrides={"context_kernel": 3})


def test_half_precision_is_kept(tmp_path, write):
    halves = {name: tensor.half() for name, tensor in tensors("kmeans").items()}
    checkpoint = load_checkpoint(write("kmeans", changes=halves))
    save_checkpoint(tmp_path / "own", checkpoint, to="sonant")
    save_checkpoint(tmp_path / "again.pt", load_checkpoint(tmp_path / "own"), to="fairseq")
    assert not differing(torch.load(tmp_path / "again.pt", weights_only=True)["model"], halves)


class TestRefusals:
    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("aggregator", "gru"),
            ("encoder", "rnn"),
            ("skip_connections_feat", True),
            ("non_affine_group_norm", True),
            ("no_conv_bias", True),
            ("project_features", "new"),
            ("activation", "selu"),
            ("residual_scale", 1.0),
            ("conv_aggregator_layers", "[(12, 2, 2), (12, 3, 1)]"),
            ("conv_aggregator_layers", "[(12, 2, 1), (16, 3, 1)]"),
        ],
    )
    def test_parts_that_we_do_not_have(self, write, setting, value):
        with pytest.raises(UnsupportedCheckpoint, match=setting):
            load_checkpoint(write(**{setting: value}))

    def test_narrow_code_vectors(self, write):
        with pytest.raises(UnsupportedCheckpoint, match="vq_dim"):
            load_checkpoint(write("gumbel", vq_dim=8))

    def test_another_quantizer(self, write):
        with pytest.raises(UnsupportedCheckpoint, match="'fsq'"):
            load_checkpoint(write("gumbel", vq_type="fsq"))

    @pytest.mark.parametrize(("quantizer", "said"), [("none", "gumbel"), ("gumbel", "none"), ("kmeans", "gumbel")])
    def test_settings_and_tensors_that_disagree(self, write, quantizer, said):
        with pytest.raises(CheckpointMismatch, match=f"vq_type='{said}'"):
            load_checkpoint(write(quantizer, vq_type=said))

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("conv_feature_layers", "[(12, 10)]"),
            ("conv_aggregator_layers", "__import__('os').system('true')"),
            ("conv_aggregator_layers", 3),
            ("log_compression", "yes"),
            ("skip_connections_agg", None),
            ("dropout", float("nan")),
            ("offset", "soon"),
        ],
    )
    def test_nonsense_in_the_settings(self, write, setting, value):
        with pytest.raises(CorruptedCheckpoint, match=setting):
            load_checkpoint(write(**{setting: value}))

    @pytest.mark.parametrize(
        ("quantizer", "setting", "value"),
        [("gumbel", "vq_vars", 0), ("gumbel", "vq_depth", -1), ("kmeans", "vq_groups", 5), ("none", "dropout", 2)],
    )
    def test_settings_out_of_range(self, write, quantizer, setting, value):
        with pytest.raises(ConfigurationError):
            load_checkpoint(write(quantizer, **{setting: value}))

    @pytest.mark.parametrize(
        ("quantizer", "setting", "value", "word"),
        [
            ("gumbel", "vq_vars", 8, "vector_quantizer.vars"),
            ("gumbel", "combine_groups", False, "vector_quantizer.vars"),
            ("gumbel", "vq_depth", 3, "vector_quantizer.weight_proj"),
            ("gumbel", "vq_depth", 10**6, "1000000"),
            ("kmeans", "vq_groups", 4, "vector_quantizer.embedding"),
            ("none", "conv_aggregator_layers", "[(12, 2, 1)] * 3", "context.layers"),
            ("none", "conv_feature_layers", "[(12, 10, 5), (12, 8, 4), (12, 4, 2), (12, 3, 1)]", "conv_layers"),
        ],
    )
    def test_settings_of_another_model(self, write, quantizer, setting, value, word):
        with pytest.raises(CheckpointMismatch, match=word):
            load_checkpoint(write(quantizer, **{setting: value}))

    def test_missing_and_left_over(self, write):
        changes = {
            "feature_aggregator.conv_layers.1.3.bias": None,
            "wav2vec_predictions.project_to_steps.bias": None,
            "strange": torch.ones(1),
        }
        with pytest.raises(CheckpointMismatch) as caught:
            load_checkpoint(write(changes=changes))
        text = str(caught.value)
        assert "Missing (2): feature_aggregator.conv_layers.*.*.bias, wav2vec_predictions.project_to_steps.bias" in text
        assert "Left over (1): strange" in text

    @pytest.mark.parametrize("shape", [(10, 12, 1, 5), (12, 10, 1, 5), (12,), (12, 12)])
    def test_a_prediction_head_of_another_model(self, write, shape):
        name = "wav2vec_predictions.project_to_steps.weight"
        with pytest.raises(CheckpointMismatch, match="project_to_steps"):
            load_checkpoint(write(changes={name: torch.ones(shape)}))

    @pytest.mark.parametrize(
        ("name", "word"),
        [
            ("feature_aggregator.residual_proj.0.weight", "skip connections between layers of different widths"),
            ("project_features.conv_layers.0.1.weight", "project_features"),
            ("feature_aggregator.1.weight_ih_l0", "recurrent"),
        ],
    )
    def test_tensors_of_parts_that_we_do_not_have(self, write, name, word):
        with pytest.raises(CheckpointMismatch, match=word):
            load_checkpoint(write(changes={name: torch.ones(2)}))

    @pytest.mark.parametrize("container", ["args", "s3prl"])
    def test_cut_short(self, tmp_path, write, container):
        whole = write(container=container).read_bytes()
        for end in (10, len(whole) // 3, len(whole) - 10):
            (tmp_path / "cut.pt").write_bytes(whole[:end])
            with pytest.raises(CorruptedCheckpoint, match=r"cut\.pt"):
                load_checkpoint(tmp_path / "cut.pt")

    def test_a_program_among_the_options(self, write):
        with pytest.raises(UnsafeCheckpoint, match="not loaded"):
            load_checkpoint(write(user_dir=_Program()))

    def test_no_options(self, tmp_path):
        torch.save({"args": None, "model": tensors()}, tmp_path / "f.pt")
        with pytest.raises(CorruptedCheckpoint, match="neither"):
            load_checkpoint(tmp_path / "f.pt")
        torch.save({"model_cfg": [], "task_cfg": {}, "model_weight": tensors()}, tmp_path / "f.pt")
        with pytest.raises(CorruptedCheckpoint, match="model_cfg"):
            load_checkpoint(tmp_path / "f.pt")


class _Program:
    def __reduce__(self):
        return (print, ("this must never appear",))


class TestWriting:
    @pytest.mark.parametrize("to", ["hf", "unilm", "torchaudio"])
    def test_formats_without_a_place_for_it_say_so(self, tmp_path, write, to):
        with pytest.raises(ConfigurationError, match="no place for a wav2vec.*sonant, fairseq"):
            save_checkpoint(tmp_path / "x", load_checkpoint(write()), to=to)

    def test_fairseq_needs_the_prediction_head(self, tmp_path, write):
        checkpoint = load_checkpoint(write())
        checkpoint.heads.clear()
        with pytest.raises(ConfigurationError, match="project_to_steps"):
            save_checkpoint(tmp_path / "x.pt", checkpoint, to="fairseq")
        save_checkpoint(tmp_path / "x", checkpoint, to="sonant")
        assert load_checkpoint(tmp_path / "x").heads == {}

    def test_other_heads_lie_aside(self, tmp_path, write):
        checkpoint = load_checkpoint(write("gumbel", offset=3))
        ctc = Head({"weight": torch.randn(5, 12), "bias": torch.randn(5)}, {"blank": 0})
        checkpoint.heads["ctc"] = ctc
        assert save_checkpoint(tmp_path / "x.pt", checkpoint, to="fairseq").aside == ("the head 'ctc'",)
        again = load_checkpoint(tmp_path / "x.pt")
        assert not differing(again.heads["ctc"].tensors, ctc.tensors)
        assert again.heads["pretraining"].metadata == {"offset": 3}

    def test_what_fairseq_has_built_in(self, tmp_path, write):
        from dataclasses import replace

        checkpoint = load_checkpoint(write())
        checkpoint = replace(checkpoint, config=replace(checkpoint.config, sampling_rate=8000))
        with pytest.raises(ConfigurationError, match="sampling_rate"):
            save_checkpoint(tmp_path / "x.pt", checkpoint, to="fairseq")
