"""The floor of the waveform's variance belongs to the checkpoint: 1e-7 by transformers, 1e-5 by everybody else."""

import json

import pytest
import torch

from sonant.checkpoints import load_checkpoint, save_checkpoint
from sonant.checkpoints.convert import convert_checkpoint
from sonant.errors import ConfigurationError
from sonant.models import build

FORMATS = ["hf", "sonant", "unilm", "fairseq", "torchaudio"]
KEY = "sonant_normalize_epsilon"


def test_a_folder_of_transformers_has_its_own(tmp_path, theirs_of):
    transformers = pytest.importorskip("transformers")
    theirs_of("wavlm", norm="layer").save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).config.normalize_epsilon == 1e-7
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).config.normalize_epsilon == 1e-7
    save_checkpoint(tmp_path / "again", load_checkpoint(tmp_path), to="hf")
    assert KEY not in json.loads((tmp_path / "again" / "preprocessor_config.json").read_text())


@pytest.mark.parametrize("to", ["unilm", "fairseq", "torchaudio"])
def test_files_of_the_others_have_that_of_layer_norm(tmp_path, checkpoint_of, to):
    """As their own code writes them: without our corner."""
    save_checkpoint(tmp_path / "x.pt", checkpoint_of("wavlm", "layer", normalize_epsilon=1e-7), to=to)
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    state.pop("sonant", None)
    vars(state).pop("_metadata", None) if hasattr(state, "__dict__") else None
    torch.save(state, tmp_path / "x.pt")
    assert load_checkpoint(tmp_path / "x.pt").config.normalize_epsilon == 1e-5


@pytest.mark.parametrize("epsilon", [1e-7, 1e-5, 3e-6])
@pytest.mark.parametrize("to", FORMATS)
def test_it_survives_every_conversion_and_is_said(tmp_path, checkpoint_of, to, epsilon):
    save_checkpoint(tmp_path / "first", checkpoint_of("wavlm", "layer", normalize_epsilon=epsilon), to="sonant")
    report = convert_checkpoint(tmp_path / "first", tmp_path / "x", to=to)
    assert report.faithful
    assert report.normalize_epsilon == load_checkpoint(tmp_path / "x").config.normalize_epsilon == epsilon
    built_in = {"hf": 1e-7, "sonant": epsilon}.get(to, 1e-5)
    assert any("normalize_epsilon" in words for words in report.aside) is (epsilon != built_in)


def test_transformers_passes_over_ours(tmp_path, checkpoint_of):
    transformers = pytest.importorskip("transformers")
    save_checkpoint(tmp_path, checkpoint_of("wavlm", "layer", normalize_epsilon=1e-5), to="hf")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    extractor(torch.randn(500).numpy(), sampling_rate=16_000)
    extractor.save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).config.normalize_epsilon == 1e-5


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_silence_must_stay_finite(config_of, epsilon):
    with pytest.raises(ConfigurationError, match="normalize_epsilon"):
        config_of("wavlm", "layer", normalize_epsilon=epsilon)


def test_what_a_run_trains_with_is_what_is_saved(tmp_path, config_of):
    from sonant.checkpoints import save_pretrained

    save_pretrained(build(config_of("hubert", "layer", normalize_epsilon=1e-5)), tmp_path)
    assert load_checkpoint(tmp_path).config.normalize_epsilon == 1e-5
