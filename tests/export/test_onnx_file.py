"""ONNX files: what the packed models give, in onnxruntime, for clips of any length in batches of any size."""

import json
import sys

import numpy as np
import pytest
import torch

from sonant.checkpoints import Checkpoint, save_checkpoint
from sonant.cli import main
from sonant.errors import ConfigurationError, ExportError, MissingExtra
from sonant.export import onnx_file, to_onnx
from sonant.export.onnx_file import open_onnx
from sonant.inference.padded_backbones import padded
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from tests.export.backbones import BACKBONES, backbone
from tests.export.test_padded import speech
from tests.shapes import TINY

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

families = pytest.mark.parametrize(
    "name", [name if name == "WavLM" else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES]
)


@families
def test_a_file_gives_what_the_model_gives(name, tmp_path):
    model = backbone(name)
    exported = to_onnx(model, tmp_path / "model.onnx", layers=None)
    assert exported.agreement.largest_difference < 1e-4
    assert exported.agreement.equal_codes == 1
    assert exported.files == (exported.path,) == tuple(tmp_path.iterdir())
    names, graph = open_onnx(exported.path)
    assert names == exported.outputs
    for lengths in ([model.receptive_field], [model.receptive_field + 1, 12_345, 40_000]):
        rows, clips = speech(lengths, filling=7.0)
        outputs = graph(rows, torch.tensor(lengths))
        if not model.normalize:
            encoded = model(Packed.pack(clips), layers=["last"])
            assert outputs["frames"].tolist() == encoded.lengths.tolist()
            ours = Packed.from_padded(outputs["last"], encoded.lengths).values
            assert (ours - encoded.last).abs().max() < 1e-4 * encoded.last.square().mean().sqrt()
    file = onnx.load(exported.path)
    assert {prop.key: prop.value for prop in file.metadata_props} == exported.facts
    axes = [[axis.dim_param or axis.dim_value for axis in put.type.tensor_type.shape.dim] for put in file.graph.output]
    assert axes[0] == ["batch", "frames", model.dim]
    assert b"site-packages" not in exported.path.read_bytes()
    assert b".py" not in exported.path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["WavLM", "w2v-BERT"])
def test_int8(name, tmp_path):
    model = backbone(name)
    whole = to_onnx(model, tmp_path / "float32.onnx", layers=None)
    small = to_onnx(model, tmp_path / "int8.onnx", layers=None, int8=True)
    assert 1 > small.agreement.lowest_cosine > 0.99
    assert small.agreement.largest_difference > 10 * whole.agreement.largest_difference
    _, graph = open_onnx(small.path)
    rows, _ = speech([8_000, 30_000], filling=5.0)
    together, alone = graph(rows, torch.tensor([8_000, 30_000])), graph(rows[:1, :8_000], torch.tensor([8_000]))
    frames = int(alone["frames"])
    assert (together["last"][0, :frames] - alone["last"][0, :frames]).abs().max() < 1e-3


def test_int8_needs_a_feed_forward_layer(tmp_path):
    with pytest.raises(ConfigurationError, match="none"):
        to_onnx(backbone("wav2vec"), tmp_path / "model.onnx", int8=True)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package}.*pip install .*'{package}"):
        to_onnx(backbone("HuBERT"), tmp_path / "model.onnx")


def test_what_differs_is_not_kept(tmp_path, monkeypatch):
    model, other = backbone("HuBERT"), backbone("WavLM")
    (tmp_path / "model.onnx").write_text("precious")
    monkeypatch.setattr(onnx_file, "_write", lambda transformers_model, path, *_, **__: path.write_text("not a model"))
    monkeypatch.setattr(onnx_file, "open_onnx", lambda _: ((), padded(other)))
    with pytest.raises(ExportError, match="differ"):
        to_onnx(model, tmp_path / "model.onnx", overwrite=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["precious"]
    with pytest.raises(ConfigurationError, match="exists"):
        to_onnx(model, tmp_path / "model.onnx")


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    config = WavLMConfig(**TINY)
    save_checkpoint(tmp_path / "wavlm", Checkpoint(config, build(config).state_dict()), to="hf")
    out = tmp_path / "model.onnx"
    assert main(["convert", str(tmp_path / "wavlm"), str(out), "--to", "onnx", "--layer", "1,last"]) == 0
    printed = capsys.readouterr().out
    assert "last, hidden_states.1, frames" in printed
    assert main(["convert", str(tmp_path / "wavlm"), str(out), "--to", "onnx", "--int8", "--overwrite", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["int8"] is True
    assert report["outputs"] == ["last", "frames"]
    assert np.isfinite(report["agreement"]["largest_difference"])


def test_the_command_refuses(tmp_path, capsys):
    assert main(["convert", "sonant/wavlm-tiny", str(tmp_path / "x"), "--to", "hf", "--int8"]) == 2
    assert main(["convert", "sonant/wavlm-tiny", str(tmp_path / "x"), "--to", "torch", "--int8"]) == 2
    assert main(["convert", "sonant/wavlm-tiny", str(tmp_path), "--to", "onnx"]) == 2
    assert "is a folder" in capsys.readouterr().err
