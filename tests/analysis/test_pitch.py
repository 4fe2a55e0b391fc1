"""Pitch of synthetic tones is found, and noise has none."""

import numpy as np
import pytest

from sonant.analysis.pitch import pitch, window_samples
from sonant.errors import ConfigurationError

RATE = 16_000
TIME = np.arange(window_samples(RATE)) / RATE


def harmonics(hertz, count=10):
    return sum(np.sin(2 * np.pi * hertz * k * TIME + k) / k for k in range(1, count + 1) if hertz * k < RATE / 2)


@pytest.mark.parametrize("hertz", [70.0, 110.0, 123.4, 200.0, 333.3, 480.0])
def test_tones_have_their_pitch(hertz):
    found = pitch(np.stack([np.sin(2 * np.pi * hertz * TIME), harmonics(hertz)]), RATE)
    np.testing.assert_allclose(found, hertz, rtol=0.005)


def test_a_missing_fundamental_is_found():
    tone = harmonics(150) - np.sin(2 * np.pi * 150 * TIME + 1)
    np.testing.assert_allclose(pitch(tone[None], RATE), 150, rtol=0.005)


def test_loudness_changes_nothing():
    tone = harmonics(180)[None]
    np.testing.assert_allclose(pitch(1e-3 * tone, RATE), pitch(tone, RATE), rtol=1e-6)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal((50, len(TIME)))
    assert np.isnan(pitch(noise, RATE)).mean() > 0.95
    assert np.isnan(pitch(np.zeros((1, len(TIME))), RATE)).all()
    assert np.isnan(pitch(np.ones((1, len(TIME))), RATE)).all()


def test_short_windows_are_refused():
    with pytest.raises(ConfigurationError, match="801"):
        pitch(np.zeros((1, 400)), RATE)
