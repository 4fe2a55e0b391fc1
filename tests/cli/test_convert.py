"""`sonant convert`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
import torch

from sonant.checkpoints import Checkpoint, load_backbone, save_checkpoint
from sonant.cli import main
from sonant.models import HuBERTConfig, Wav2VecConfig, WavLMConfig, build

SIZES = {
    "conv_channels": (8,) * 7,
    "dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_dim": 24,
    "position_kernel": 8,
    "position_groups": 2,
}


@pytest.fixture
def folder(tmp_path):
    """A tiny WavLM as a folder of transformers."""
    config = WavLMConfig(**SIZES)
    save_checkpoint(tmp_path / "wavlm", Checkpoint(config, build(config).half().state_dict()), to="hf")
    return tmp_path / "wavlm"


@pytest.mark.parametrize("to", ["hf", "sonant", "unilm", "fairseq", "torchaudio"])
def test_a_report(folder, tmp_path, capsys, to):
    assert main(["convert", str(folder), str(tmp_path / "out"), "--to", to]) == 0
    printed = capsys.readouterr().out
    assert "hf: wavlm, 0.0 M parameters, float16" in printed
    count = len(build(WavLMConfig(**SIZES)).state_dict())
    assert f"{count} of {count} are the same, bit for bit" in printed
    assert "largest difference 0" in printed
    assert ("mask_embedding" in printed) is (to == "torchaudio")


def test_json(folder, tmp_path, capsys):
    assert main(["convert", str(folder), str(tmp_path / "out.pt"), "--to", "unilm", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faithful"] is True
    assert report["family"] == "wavlm"
    assert report["changed_tensors"] == []
    assert report["output_difference"] == 0


def test_overrides(tmp_path, capsys):
    config = HuBERTConfig(**SIZES)
    save_checkpoint(tmp_path / "noted.pth", Checkpoint(config, build(config).state_dict()), to="torchaudio")
    bare = dict(torch.load(tmp_path / "noted.pth", weights_only=True))
    torch.save(bare, tmp_path / "bare.pth")
    arguments = ["convert", str(tmp_path / "bare.pth"), str(tmp_path / "out"), "--to", "hf"]
    assert main(arguments) == 2
    assert "num_heads" in capsys.readouterr().err
    assert main([*arguments, "--override", "family=hubert num_heads=2 normalize=true"]) == 0
    assert "hubert" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())["do_normalize"] is True
    assert main([*arguments, "--override", "num_heads"]) == 2
    assert "name=value" in capsys.readouterr().err


def test_a_family_that_a_format_has_no_place_for(tmp_path, capsys):
    config = Wav2VecConfig(conv_channels=(8,) * 5, context_kernels=(2, 3))
    save_checkpoint(tmp_path / "wav2vec", Checkpoint(config, build(config).state_dict()), to="sonant")
    arguments = ["convert", str(tmp_path / "wav2vec"), str(tmp_path / "out"), "--to"]
    assert main([*arguments, "hf"]) == 2
    assert "sonant, fairseq" in capsys.readouterr().err
    assert main([*arguments, "sonant"]) == 0
    assert "sonant: wav2vec" in capsys.readouterr().out


def test_exit_codes(folder, tmp_path, capsys, monkeypatch):
    there = tmp_path / "there.pt"
    assert main(["convert", str(folder), str(there), "--to", "nemo"]) == 2
    assert main(["convert", str(tmp_path / "nothing"), str(there), "--to", "hf"]) == 1
    there.write_text("precious")
    assert main(["convert", str(folder), str(there), "--to", "unilm"]) == 2
    assert there.read_text() == "precious"
    assert main(["convert", str(folder), str(there), "--to", "unilm", "--overwrite"]) == 0

    from sonant.checkpoints import convert

    monkeypatch.setattr(convert, "_output_difference", lambda *_: 0.25)
    assert main(["convert", str(folder), str(tmp_path / "unfaithful.pt"), "--to", "unilm"]) == 1
    assert "largest difference 0.25" in capsys.readouterr().out


@pytest.mark.parametrize("to", ["hf", "sonant"])
def test_integers_are_tried_on_speech(folder, tmp_path, capsys, to):
    speech = Path(__file__).parent.parent.parent / "examples" / "speech"
    out = str(tmp_path / "out")
    assert main(["convert", str(folder), out, "--to", to, "--int8-speech", str(speech)]) == 0
    assert "feed-forward and attention layers" in capsys.readouterr().out
    assert load_backbone(out).int8_groups == ("feed_forward", "attention")
    assert main(["convert", str(folder), str(tmp_path / "x.pt"), "--to", "unilm", "--int8-speech", str(speech)]) == 2
    assert "no place" in capsys.readouterr().err
    assert not (tmp_path / "x.pt").exists()
