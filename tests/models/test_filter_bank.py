"""Log-mel energies and MFCC as models of one state: what they compute, and that any head can be trained over them."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sonant
from sonant.audio.mel import INTEGER_SCALE, SPEECH_DEVIATION, SPEECH_MEAN, deltas, fbank, mfcc
from sonant.checkpoints import Head, load_backbone, load_checkpoint, save_pretrained
from sonant.errors import ConfigurationError, TooShortAudio
from sonant.layers.packed import Packed
from sonant.models import FilterBankConfig
from sonant.models.filter_bank import FILTER_BANKS, FilterBankModel

features = pytest.mark.parametrize("name", FILTER_BANKS)


def clip(samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rising = torch.linspace(0.01, 0.2, samples)
    return torch.randn(samples, generator=generator) * rising


def encoded(name: str, *clips: torch.Tensor) -> Packed:
    with torch.no_grad():
        found = load_backbone(name)(Packed.pack(clips))
    assert torch.equal(found.hidden_states[0], found.last)
    return Packed(found.last, found.lengths)


@pytest.mark.parametrize(("name", "static"), [("mfcc", 13), ("log_mel", 80), ("fbank", 80)])
def test_features_are_followed_by_their_deltas(name: str, static: int) -> None:
    speech = clip(12_000).double() * INTEGER_SCALE
    plain = fbank(speech) if static == 80 else mfcc(speech)
    if name == "fbank":
        expected = (plain - plain.mean(0)) / plain.std(0)
    elif name == "log_mel":
        expected = (plain - SPEECH_MEAN) / SPEECH_DEVIATION
    else:
        shift = torch.zeros(13, dtype=torch.float64)
        shift[0] = SPEECH_MEAN * 23**0.5  # the cepstrum of a constant
        expected = (plain - shift) / SPEECH_DEVIATION
    found = encoded(name, clip(12_000)).values
    assert found.shape == (1 + (12_000 - 400) // 160, 3 * static)
    torch.testing.assert_close(found[:, :static], expected.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, static : 2 * static], deltas(expected).float(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[:, 2 * static :], deltas(deltas(expected)).float(), rtol=1e-3, atol=1e-4)


@features
def test_a_clip_alone_is_the_clip_in_a_batch(name: str) -> None:
    clips = [clip(400), clip(9_000, 1), clip(4_321, 2)]
    for alone, together in zip(clips, encoded(name, *clips), strict=True):
        assert torch.equal(encoded(name, alone).values, together)


@features
def test_windows_have_the_frames_of_the_whole_recording(name: str) -> None:
    model, speech = load_backbone(name), clip(48_000)
    statistics = model.clip_statistics()
    assert (statistics is not None) == (name == "fbank")
    if statistics is not None:
        for block in np.array_split(speech.numpy(), 7):
            statistics.update(block)
    whole = encoded(name, speech).values
    window = model(Packed.pack([speech[16_000:40_000]]), statistics=[statistics]).last
    inside = slice(4, -4)  # the deltas of its first and last frames see no frames beyond
    torch.testing.assert_close(window[inside], whole[100 : 100 + len(window)][inside], rtol=1e-4, atol=1e-4)


@features
def test_silence_is_finite(name: str) -> None:
    assert encoded(name, torch.zeros(4_000)).values.isfinite().all()


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_checkpoint("mfcc").config == FILTER_BANKS["mfcc"]
    save_pretrained(FilterBankModel(FilterBankConfig(with_deltas=False)), tmp_path / "mfcc")
    assert load_checkpoint("mfcc").config == FilterBankConfig(with_deltas=False)


def test_settings_can_be_others_and_impossible_ones_are_refused() -> None:
    assert load_checkpoint("log_mel", overrides={"num_bins": 40, "with_deltas": False}).config.dim == 40
    with pytest.raises(ConfigurationError, match="num_coefficients=24 of 23 mel bins"):
        load_checkpoint("mfcc", overrides={"num_coefficients": 24})
    with pytest.raises(TooShortAudio, match="one frame needs 400"):
        load_backbone("mfcc")(Packed.pack([torch.zeros(399)]))


def test_a_head_is_kept_with_the_features(tmp_path: Path) -> None:
    tensors = {"classifier.weight": torch.randn(2, 39), "classifier.bias": torch.zeros(2)}
    head = Head({**tensors, "layer_weights": torch.zeros(1)}, {"labels": ["a", "b"]})
    save_pretrained(load_backbone("mfcc"), tmp_path / "model", heads={"frame_classification": head})
    loaded = load_checkpoint(tmp_path / "model")
    assert loaded.config == FILTER_BANKS["mfcc"]
    found = loaded.heads["frame_classification"]
    assert torch.equal(found.tensors["classifier.weight"], tensors["classifier.weight"])


@features
def test_an_encoder_gives_them_as_it_gives_states(name: str) -> None:
    speech = clip(16_000)
    found = sonant.load(name).encode(speech.numpy())
    np.testing.assert_allclose(found, encoded(name, speech).values, rtol=1e-5, atol=1e-5)
