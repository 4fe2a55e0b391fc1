"""One channel, all of them or their mean: the same from arrays and files, at once and in blocks, at any rate."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.errors import AudioWarning, ConfigurationError, MissingChannel, NonFiniteAudio, TooShortAudio

RATE = 16000


@settings(deadline=None, max_examples=30)
@given(
    form=st.sampled_from(["wav", "flac", "mapping", "(k, n)", "(n, k)", "tensor"]),
    rate=st.sampled_from([8000, 16000, 44100]),
    channels=st.integers(1, 4),
    samples=st.integers(9000, 150000),
)
def test_a_channel_is_the_recording_of_that_channel_alone(encode, speechlike, form, rate, channels, samples):
    whole = speechlike(samples / rate, rate, channels)
    whole = (np.round(whole * 32768) / 32768).astype(np.float32)
    source = {
        "mapping": lambda: {"array": whole.T.copy(), "sampling_rate": rate},
        "(k, n)": whole.T.copy,
        "(n, k)": lambda: whole,
        "tensor": lambda: torch.from_numpy(whole.T.copy()),
    }.get(form, lambda: encode(whole, rate, form))()
    assert audio.num_channels(source) == channels
    together = audio.read(source, source_rate=rate, channel="all")
    assert together.shape[0] == channels
    assert together.flags.c_contiguous
    streamed = np.concatenate(list(audio.blocks(source, source_rate=rate, channel="all")), axis=1)
    np.testing.assert_allclose(streamed, together, atol=1e-5)
    for k in range(channels):
        alone = audio.read(whole[:, k], source_rate=rate)
        np.testing.assert_allclose(audio.read(source, source_rate=rate, channel=k), alone, atol=1e-6)
        np.testing.assert_allclose(together[k], alone, atol=1e-6)
        blocks = list(audio.blocks(source, source_rate=rate, channel=np.int64(k)))
        np.testing.assert_allclose(np.concatenate(blocks), alone, atol=1e-5)
    mix = audio.read(whole.mean(1), source_rate=rate)
    np.testing.assert_allclose(audio.read(source, source_rate=rate, channel="mix"), mix, atol=1e-6)


def test_channels_of_what_ffmpeg_decodes(tmp_path, speechlike):
    av = pytest.importorskip("av")
    whole = speechlike(1.0, 48000, 2)
    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("pcm_f32le", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    assert audio.num_channels(path) == 2
    for k in range(2):
        read = audio.read(path, sampling_rate=48000, channel=k)
        np.testing.assert_allclose(read, whole[:, k], atol=1e-6)
        read[:] = 0  # it is the caller's own


def test_a_channel_that_is_not_there_is_named(encode, speechlike):
    stereo = speechlike(0.2, RATE, 2)
    for source in (encode(stereo, RATE, "wav"), stereo, {"array": stereo, "sampling_rate": RATE}):
        with pytest.raises(MissingChannel, match=r"channel 2 .* 2 channels \(numbers 0 to 1\)"):
            audio.read(source, channel=2)
        with pytest.raises(MissingChannel):
            list(audio.blocks(source, channel=2))
    with pytest.raises(MissingChannel, match="1 channel "):
        audio.read(stereo[:, 0], channel=1)


@pytest.mark.parametrize("channel", [-1, 1.0, "left", "0", True, [0], ""])
def test_what_is_no_channel_is_refused(channel):
    with pytest.raises(ConfigurationError, match="channel="):
        audio.read(np.zeros(1000), channel=channel)
    with pytest.raises(ConfigurationError, match="channel="):
        list(audio.blocks(np.zeros(1000), channel=channel))


def test_faults_of_channels_that_are_not_wanted_do_not_matter(speechlike):
    stereo = speechlike(1.0, RATE, 2)
    stereo[8000, 1] = np.nan
    np.testing.assert_array_equal(audio.read(stereo, channel=0), stereo[:, 0])
    for channel in (1, "all", "mix"):
        with pytest.raises(NonFiniteAudio, match=r"0\.500 s"):
            audio.read(stereo, channel=channel)
    with pytest.raises(TooShortAudio):
        audio.read(np.zeros((300, 2)), channel="all")


# ---------------------------------------------------------------------------------------------- channels that cancel


@pytest.mark.parametrize("gain", [1.0, 0.97, 0.95])
@pytest.mark.parametrize("form", ["array", "wav", "blocks", "flac at 44.1 kHz"])
def test_channels_that_cancel_warn(encode, speechlike, gain, form):
    one = speechlike(20.0, RATE)[:, 0]
    stereo = np.stack([one, -gain * one], axis=1)
    read = {
        "array": lambda: audio.read(stereo),
        "wav": lambda: audio.read(encode(stereo, RATE, "wav"), channel="mix"),
        "blocks": lambda: list(audio.blocks(encode(stereo, RATE, "wav"))),
    }.get(form, lambda: audio.read(encode(stereo, 44100, "flac")))
    with pytest.warns(AudioWarning, match="channel=0") as told:
        read()
    assert len(told) == 1
    for channel in (0, 1, "all"):
        audio.read(stereo, channel=channel)  # a warning would be an error here


@pytest.mark.parametrize("channels", [2, 3, 8, 64])
def test_other_channels_do_not_warn(speechlike, channels):
    several = speechlike(2.0, RATE, channels)
    one_sided = several * (np.arange(channels) == 1)
    in_turn = several.copy()
    for k in range(channels):
        in_turn[np.arange(len(several)) * channels // len(several) != k, k] = 0
    alike = np.repeat(several[:, :1], channels, axis=1)
    delayed = np.stack([np.roll(several[:, 0], 7 * k) for k in range(channels)], axis=1)
    partly = alike * np.where(np.arange(channels) == 0, -1.0, 1.0) * np.where(np.arange(channels) == 0, 0.5, 1.0)
    for stereo in (several, one_sided, in_turn, alike, delayed, partly, np.zeros_like(several)):
        audio.read(stereo.astype(np.float32))


def test_silence_that_cancels_does_not_warn():
    dither = np.random.default_rng(0).choice([-1, 0, 1], RATE) / 2**15
    audio.read(np.stack([dither, -dither], axis=1))
