"""Quiet recordings: our states are those of the toolkit that the checkpoint comes from, down to the variance floor."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import sonant
from sonant.audio.mel import stacked_fbank
from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, transformers_model
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build, normalize_waveform
from tests.shapes import SMALL

LEVELS = [0, -20, -40, -60, -80, -100]  # dB of full scale, root mean square
CONFIG = WavLMConfig(**SMALL, extractor_norm="layer", pre_norm=True, normalize=True)


def recording(level: float, seconds: float = 1.3, offset: float = 0.0) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    return (noise * 10 ** (level / 20) + offset).astype(np.float32)


def model(epsilon: float, config: WavLMConfig = CONFIG) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(replace(config, normalize_epsilon=epsilon)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with random weights as transformers saves it, feature extractor beside it; and transformers' model."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("wavlm")
    peer = transformers_model(model(1e-5)).eval()
    peer.save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(path)
    return path, peer


@torch.inference_mode()
@pytest.mark.parametrize("level", LEVELS)
def test_a_folder_of_transformers_gives_what_transformers_gives(folder, level):
    transformers = pytest.importorskip("transformers")
    path, peer = folder
    wave = recording(level)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(path)
    theirs = peer_states(peer, extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values)
    ours = sonant.load(path).encode(wave, layer="all", to="torch")
    assert (
        max(
            relative_error(own, their[0])
            for own, their in zip(ours, (theirs[n] for n in range(len(ours))), strict=True)
        )
        < 1e-5
    )


@torch.inference_mode()
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("to", ["unilm", "fairseq", "torchaudio"])
def test_files_of_the_others_give_what_layer_norm_gives(tmp_path, level, to):
    from sonant.checkpoints import Checkpoint, save_checkpoint

    reference, wave = model(1e-5), recording(level)
    save_checkpoint(tmp_path / "x.pt", Checkpoint(reference.config, reference.state_dict()), to=to)
    normalized = F.layer_norm(torch.from_numpy(wave), wave.shape)
    plain = build(replace(reference.config, normalize=False)).eval()
    plain.load_state_dict(reference.state_dict())
    theirs = plain(Packed.pack([normalized])).hidden_states
    ours = sonant.load(tmp_path / "x.pt").encode(wave, layer="all", to="torch")
    assert max(relative_error(own, theirs[number]) for number, own in enumerate(ours)) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("epsilon", [1e-7, 1e-5])
@pytest.mark.parametrize("level", [-40, -80])
def test_windows_of_a_long_recording_take_the_floor_of_the_whole(level, epsilon):
    """Against one pass over the normalized whole, where no window begins or ends."""
    encoder = sonant.SpeechEncoder(model(epsilon, replace(CONFIG, num_layers=1)))
    wave = recording(level, 6)
    whole = encoder.encode(wave, layer=0, window_seconds=None)
    windows = encoder.encode(wave, layer=0, window_seconds=2, overlap_seconds=1)
    np.testing.assert_allclose(windows[5:-5], whole[5:-5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-5])
def test_silence_is_finite(epsilon):
    encoder = sonant.SpeechEncoder(model(epsilon))
    assert np.isfinite(encoder.encode(np.zeros(16_000, np.float32), layer="all")).all()


@pytest.mark.parametrize("epsilon", [1e-7, 1e-5])
@pytest.mark.parametrize("level", [-20, -60, -80])
def test_an_offset_costs_no_digits(level, epsilon):
    """The offset is far above the recording, whose samples float32 still holds."""
    wave = recording(level, offset=0.25)
    wide = wave.astype(np.float64)
    exact = (wide - wide.mean()) / np.sqrt(wide.var() + epsilon)
    ours = normalize_waveform(torch.from_numpy(wave), epsilon).double()
    assert relative_error(ours, torch.from_numpy(exact)) < 1e-6


@pytest.mark.parametrize("level", LEVELS)
def test_mel_energies_are_normalized_as_by_transformers(level):
    """With the unbiased variance, its floor 1e-7."""
    transformers = pytest.importorskip("transformers")
    wave = recording(level)
    theirs = transformers.SeamlessM4TFeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
    ours = stacked_fbank(torch.from_numpy(wave))
    expected = theirs.input_features[0, : len(ours)]
    assert relative_error(ours, expected) < 1e-4
