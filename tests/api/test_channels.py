"""A channel of a recording gives what that channel alone gives, with every verb."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.errors import ConfigurationError, MissingChannel, NonFiniteAudio
from sonant.models import HuBERTConfig, WavLMConfig, build
from tests.heads import XVECTOR_DIM, write_ctc, write_frame_classifier, write_xvector
from tests.shapes import SMALL

RATE = 16_000


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(build(WavLMConfig(**SMALL)).eval(), name="tiny")


def noise(seconds: float, channels: int, seed: int = 0) -> np.ndarray:
    """(samples, channels), of 16 bits."""
    samples = np.random.default_rng(seed).normal(0, 0.1, (round(seconds * RATE), channels))
    return (np.round(samples * 32768) / 32768).astype(np.float32)


def as_flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC")
    return file.getvalue()


def test_all_channels_are_a_list_in_place_of_the_result(encoder: SpeechEncoder) -> None:
    stereo, mono, three = noise(1.0, 2), noise(0.5, 1, 1), noise(0.7, 3, 2)
    call = io.BytesIO(as_flac(stereo))
    call.seek(77)
    forms = [call, (mono, RATE), {"array": three.T.copy(), "sampling_rate": RATE}, mono[:, 0], three.T.copy()]
    results = encoder.encode(forms, channel="all", pool="mean")
    assert [len(channels) for channels in results] == [2, 1, 3, 1, 3]
    for channels, whole in zip(results, (stereo, mono, three, mono, three), strict=True):
        for channel, result in enumerate(channels):
            np.testing.assert_allclose(result, encoder.encode(whole[:, channel], pool="mean"), atol=1e-5)
    assert call.tell() == len(call.getvalue()) or not call.closed
    one = encoder.encode(as_flac(stereo), channel="all")
    assert [frames.shape for frames in one] == [(49, 32), (49, 32)]


@pytest.mark.parametrize("channel", [0, 1, "mix", None])
def test_one_channel_or_the_mean(encoder: SpeechEncoder, channel: int | str | None) -> None:
    stereo = noise(1.0, 2)
    alone = stereo[:, channel] if isinstance(channel, int) else stereo.mean(1)
    (result,) = encoder.encode([as_flac(stereo)], channel=channel)
    np.testing.assert_allclose(result, encoder.encode(alone), atol=1e-4)


@pytest.mark.parametrize("config", [WavLMConfig, HuBERTConfig])
def test_channels_of_long_recordings_come_in_windows_too(config: type) -> None:
    """HuBERT's group norm takes its statistics of the whole channel, in a first pass over its blocks."""
    torch.manual_seed(0)
    encoder = SpeechEncoder(build(config(**SMALL)).eval())
    stereo = noise(9.0, 2) * np.array([1.0, 0.1], np.float32)
    cutting = {"window_seconds": 3.0, "overlap_seconds": 1.0}
    results = encoder.encode(as_flac(stereo), channel="all", **cutting)
    for channel, result in enumerate(results):
        alone = encoder.encode((np.round(stereo * 32768) / 32768)[:, channel].astype(np.float32), **cutting)
        np.testing.assert_allclose(result, alone, atol=1e-3)
        np.testing.assert_array_equal(result, encoder.encode(as_flac(stereo), channel=channel, **cutting))


def test_channels_that_are_not_there_are_recorded_and_skipped(encoder: SpeechEncoder, tmp_path: Path) -> None:
    stereo, mono = as_flac(noise(0.5, 2)), as_flac(noise(0.5, 1))
    with pytest.raises(MissingChannel, match="channel 1 .* 1 channel") as raised:
        encoder.encode([stereo, mono], channel=1)
    assert "recording 1" in raised.value.__notes__[0]
    with pytest.warns(UserWarning, match="1 of 2 recordings"):
        results = encoder.encode([stereo, mono], channel=1, on_error="skip")
    assert [result is None for result in results] == [False, True]
    with pytest.raises(ConfigurationError, match="channel="):
        encoder.encode([stereo], channel="left", on_error="skip")


def test_faults_are_told_of_recordings_though_channels_are_computed(encoder: SpeechEncoder, tmp_path: Path) -> None:
    poisoned = noise(0.5, 2)
    poisoned[100, 1] = np.nan
    recordings = [as_flac(noise(0.5, 2)), tmp_path / "no.wav", (poisoned, RATE), as_flac(noise(0.001, 2))]
    with pytest.warns(UserWarning, match="3 of 4 recordings") as told:
        results = encoder.encode(recordings, channel="all", on_error="skip")
    assert len(str(told[0].message).splitlines()) == 4  # what all channels share is said once
    assert results[1] is None
    assert results[3] is None
    assert results[2][0].shape == (24, 32)
    assert results[2][1] is None
    with pytest.raises(NonFiniteAudio) as raised:
        encoder.encode([recordings[0], (poisoned, RATE)], channel="all")
    assert "recording 1 (counted from 0), tuple, channel 1" in raised.value.__notes__[0]


def test_units_transcripts_and_speakers_of_each_channel(tmp_path: Path) -> None:
    stereo = noise(3.0, 2)
    call = as_flac(stereo)
    recognizer = sonant.load(write_ctc(tmp_path / "ctc"))
    transcripts = recognizer.transcribe([call], channel="all")[0]
    assert transcripts == [recognizer.transcribe(call, channel=0), recognizer.transcribe(call, channel=1)]
    assert transcripts[0].text == recognizer.transcribe(stereo[:, 0]).text
    assert sonant.transcribe(call, model=recognizer, channel="all") == transcripts

    diarizer = sonant.load(write_frame_classifier(tmp_path / "frames"))
    alone = [diarizer.diarize(call, channel=channel) for channel in (0, 1)]
    for answer in (diarizer.diarize(call, channel="all"), diarizer.diarize([call], channel="all")[0]):
        assert [[turn.speaker for turn in turns] for turns in answer] == [
            [f"channel_{channel}_{turn.speaker}" for turn in turns] for channel, turns in enumerate(alone)
        ]
    assert any(alone)
    clustered = recognizer.diarize(call, channel="all", num_speakers=1)
    assert [{turn.speaker for turn in turns} for turns in clustered] == [
        {f"channel_{channel}_speaker_0"} for channel in (0, 1)
    ]


def test_voices_are_compared_on_one_channel(tmp_path: Path) -> None:
    stereo = noise(2.0, 2)
    verifier = sonant.load(write_xvector(tmp_path / "xvector"))
    same = verifier.verify(as_flac(stereo), as_flac(stereo[:, ::-1]), channel="mix")
    assert same.score == pytest.approx(1.0, abs=1e-5)
    assert verifier.verify((stereo, RATE), (stereo[:, ::-1], RATE), channel=0).score < 1 - 1e-6
    assert verifier.similarity(as_flac(stereo), as_flac(stereo), channel=1) == pytest.approx(1.0, abs=1e-5)
    assert [vector.shape for vector in verifier.speaker_vectors(as_flac(stereo), channel="all")] == [(XVECTOR_DIM,)] * 2
    for compare in (verifier.verify, verifier.similarity):
        with pytest.raises(ConfigurationError, match="one voice"):
            compare(as_flac(stereo), as_flac(stereo), channel="all")
