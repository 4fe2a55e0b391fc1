"""Mixtures of single speakers: determined by the generator, and the sum of their sources."""

from pathlib import Path

import numpy as np
import pytest

from sonant.data import WaveformStore, read_manifest
from sonant.errors import ConfigurationError, ManifestError
from sonant.training.tasks.mixer import Mixer, SourceMixing
from tests.training.tasks.mixed_voices import write_mixtures, write_voices

ROOM = np.concatenate([np.zeros(7), [1.0], np.zeros(300), [0.5]]).astype(np.float32)
NOISE = np.random.default_rng(3).normal(0, 0.1, 1_000).astype(np.float32)


@pytest.fixture
def voices(tmp_path: Path) -> WaveformStore:
    manifest = write_voices(tmp_path / "voices", 2)
    return WaveformStore.build(read_manifest(manifest), tmp_path / "store")


def mixer(**mixing: object) -> Mixer:
    speakers = {0: "low", 1: "low", 2: "high", 3: "high"}
    return Mixer(2, SourceMixing(**mixing), {}, speakers, [NOISE], [ROOM])  # type: ignore[arg-type]


def test_a_mixture_is_the_sum_of_two_speakers_and_follows_from_the_generator(voices: WaveformStore) -> None:
    made = mixer(speech_snr_db=(3.0, 3.0))
    mixture, sources = made.mix(voices, 0, 4_000, np.random.default_rng(1))
    again, _ = made.mix(voices, 0, 4_000, np.random.default_rng(1))
    other, _ = made.mix(voices, 0, 4_000, np.random.default_rng(2))
    np.testing.assert_array_equal(mixture, again)
    assert not np.array_equal(mixture, other)
    np.testing.assert_allclose(mixture, sources.sum(1), atol=1e-6)
    first, second = 10 * np.log10(np.square(sources).mean(0))
    assert first - second == pytest.approx(3, abs=1e-3)
    assert set(made._others(0, np.random.default_rng(5))) <= {2, 3}  # never the same speaker


def test_noise_and_rooms_are_added_at_their_level(voices: WaveformStore) -> None:
    made = mixer(noise_probability=1.0, reverb_probability=1.0, noise_snr_db=(6.0, 6.0))
    mixture, sources = made.mix(voices, 0, 4_000, np.random.default_rng(1))
    noise = mixture - sources.sum(1)
    assert 10 * np.log10(np.square(sources.sum(1)).mean() / np.square(noise).mean()) == pytest.approx(6, abs=1e-2)
    _, dry = mixer(noise_probability=1.0, reverb_probability=1.0, noise_snr_db=(6.0, 6.0), dereverberate=True).mix(
        voices, 0, 4_000, np.random.default_rng(1)
    )
    echo = sources[:, 0] / np.linalg.norm(sources[:, 0]) - dry[:, 0] / np.linalg.norm(dry[:, 0])
    assert np.abs(echo).max() > 1e-3


def test_given_sources_are_cut_with_their_mixture(tmp_path: Path) -> None:
    (entry, *_) = read_manifest(write_mixtures(tmp_path / "mix", 1))
    folder = entry.path.parent
    files = [entry, *(type(entry)(folder / str(entry.fields[name])) for name in ("source_1", "source_2"))]
    store = WaveformStore.build(files, tmp_path / "store")
    mixture, sources = Mixer(2, SourceMixing(), {0: [1, 2]}, {}).mix(store, 0, 3_000, np.random.default_rng(0))
    np.testing.assert_allclose(mixture, sources.sum(1), atol=1e-4)


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(ManifestError, match="the recordings are of 1"):
        Mixer(2, SourceMixing(), {}, {0: "low", 1: "low"})
    with pytest.raises(ConfigurationError, match="mixing.noise=PATH"):
        SourceMixing(noise_probability=0.5).check()
    with pytest.raises(ConfigurationError, match="a share, 0 to 1"):
        SourceMixing(reverb_probability=2)
