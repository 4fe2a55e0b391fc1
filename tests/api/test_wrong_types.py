"""What is no path, no waveform of the model's type and no device is answered in words."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sonant
from sonant import cli
from sonant.api import loading
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

NO_PATHS = [3, None, "", b"a.wav", ["a.wav"], np.zeros(16_000)]


@pytest.fixture(scope="module")
def encoder() -> sonant.SpeechEncoder:
    return sonant.load("wavlm-tiny")


@pytest.mark.parametrize("source", NO_PATHS)
def test_recordings_in_memory_are_not_what_embed_takes(encoder, source: object, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for output in ("out", "out.npy"):
        with pytest.raises(ConfigurationError, match=r"was given as the recordings; expected a path.* `encode`"):
            encoder.embed(source, output)
    with pytest.raises(ConfigurationError, match="was given as the recordings; expected a path"):
        encoder.write_units(source, None, kmeans="kmeans.safetensors", layer=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", NO_PATHS)
def test_a_place_is_a_path(encoder, place: object, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="was given as the place for vectors|not written to standard output"):
        encoder.embed("a.wav", place)
    if place is not None:
        with pytest.raises(ConfigurationError, match="was given as the place for units"):
            encoder.write_units("a.wav", place)
        with pytest.raises(ConfigurationError, match="was given as kmeans"):
            encoder.units(np.zeros(16_000), kmeans=place, layer=1)


@pytest.mark.parametrize("command", ["embed", "units"])
def test_a_place_is_judged_before_the_model_is_loaded(command: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(loading, "load_checkpoint", lambda *_, **__: pytest.fail("the model was loaded"))
    assert cli.main([command, "a.wav", "-m", "wavlm-tiny", "-o", "out.wav"]) == 2
    assert "named like a file of another kind" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_waveforms_of_any_floating_point_type_are_taken(encoder, dtype: torch.dtype) -> None:
    clip = torch.randn(16_000, dtype=dtype)
    with torch.no_grad():
        states, expected = (encoder.model(Packed.pack([each])).last for each in (clip, clip.float()))
    assert torch.equal(states, expected)
    assert encoder.encode(torch.randn(16_000, dtype=torch.float64)).dtype == np.float32


def test_an_unknown_device_is_answered_without_a_list_of_all(encoder) -> None:
    with pytest.raises(ConfigurationError, match=r"'auto' cannot be used here: no kind of device .* There are: cpu"):
        sonant.load("wavlm-tiny", device="auto")
