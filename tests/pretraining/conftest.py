"""A tiny model and a tiny corpus of noise bursts."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.data import ManifestEntry, WaveformStore
from sonant.models import WavLMConfig
from tests.shapes import TINY

MODEL = WavLMConfig(**TINY, dropout=0.1, layerdrop=0.1)


@pytest.fixture
def tiny() -> WavLMConfig:
    return MODEL


@pytest.fixture
def recordings(tmp_path: Path) -> list[ManifestEntry]:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(12):
        samples = int(rng.integers(16_000, 40_000))
        tone = np.sin(np.arange(samples) * rng.uniform(0.05, 0.5)) * 0.3
        soundfile.write(tmp_path / f"{number}.wav", tone + rng.normal(0, 0.05, samples), 16_000)
        paths.append(ManifestEntry(tmp_path / f"{number}.wav"))
    return paths


@pytest.fixture
def waveforms(tmp_path: Path, recordings: list[ManifestEntry]) -> WaveformStore:
    return WaveformStore.build(recordings, tmp_path / "waveforms")
