"""Files in memory hold the samples that they are given: WAV to the bit, FLAC to its 24 bits."""

import io

import numpy as np
import pytest
import soundfile

from sonant import audio
from sonant.audio import encoding


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("num_samples", [1, 999, encoding.BLOCK + 7])
def test_wav_is_exact(channels: int, num_samples: int) -> None:
    recording = np.random.default_rng(0).normal(0, 2, (channels, num_samples)).astype(np.float32)
    file = b"".join(encoding.wav(recording, 8_000))
    assert len(file) == encoding.wav_bytes(recording)
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert rate == 8_000
    assert np.array_equal(samples.T, recording)
    assert soundfile.info(io.BytesIO(file)).subtype == "FLOAT"
    told = audio.duration(file)
    assert told == pytest.approx(num_samples / 8_000)


@pytest.mark.parametrize("channels", [1, encoding.FLAC_CHANNELS])
def test_flac_rounds_to_24_bits_and_clips(channels: int) -> None:
    recording = np.random.default_rng(0).uniform(-1, 1, (channels, 9_000)).astype(np.float32)
    recording[:, :4] = [1.0, -1.0, 7.0, -7.0]
    encoder = encoding.FlacEncoder(channels, 16_000)
    for block in np.split(recording, [1, 5_000], axis=1):
        encoder.write(block)
    samples, rate = soundfile.read(io.BytesIO(encoder.finish()), dtype="float64", always_2d=True)
    assert rate == 16_000
    np.testing.assert_allclose(samples.T, recording.clip(-1, 1), rtol=0, atol=2.0**-23)
