"""Durations come from headers, agree with the samples, and do not depend on the length of a file."""

import io
import struct

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.errors import AudioNotFound, EmptyAudio, TruncatedAudio, UndecodableAudio

KINDS = ["wav", "wav-24", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "opus", "mp3"]
TWO_HOURS = 7200


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(KINDS), rate=st.sampled_from([16000, 24000, 48000]), samples=st.integers(6000, 30000))
def test_duration_is_that_of_the_samples(encode, speechlike, kind, rate, samples):
    data = encode(speechlike(samples / rate, rate, channels=2), rate, kind)
    assert audio.duration(data) == pytest.approx(samples / rate)
    assert audio.duration(io.BytesIO(data)) * rate == pytest.approx(len(audio.read(data, sampling_rate=rate)))


@pytest.mark.parametrize(
    ("container", "codec", "piped"),
    [
        ("mp4", "aac", False),
        ("webm", "libopus", False),
        ("webm", "libopus", True),
        ("adts", "aac", False),
        ("flac", "flac", True),
    ],
)
def test_durations_of_other_formats(encode_av, speechlike, container, codec, piped):
    data = encode_av(speechlike(3.0, 48000)[:, 0], 48000, container, codec, piped=piped)
    assert audio.duration(data) == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_an_mp3_without_a_length_header_is_counted_frame_by_frame(encode_av, rate):
    """At a variable bit rate, a guess from the first frame (of silence here) is far off."""
    loud = np.random.default_rng(0).uniform(-0.3, 0.3, 2 * rate)
    samples = np.concatenate([np.zeros(4 * rate), loud]).astype(np.float32)
    variable = {"global_quality": str(2 * 118), "flags": "+qscale"}
    data = encode_av(samples, rate, "mp3", "libmp3lame", options={"write_xing": "0"}, codec_options=variable)
    expected = len(audio.read(data, sampling_rate=rate))
    assert expected == pytest.approx(6 * rate, abs=4000)
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 8, 0]) + bytes(8 << 7)
    for whole in (data, tag + data):
        assert round(audio.duration(whole) * rate) == expected


def test_arrays(speechlike):
    samples = speechlike(0.5, 8000, 2)
    assert audio.duration(samples, source_rate=8000) == 0.5
    assert audio.duration(torch.from_numpy(samples.T)) == 0.25
    assert audio.duration({"array": samples, "sampling_rate": 8000}) == 0.5


def sparse_wav(path):
    data = TWO_HOURS * 16000 * 2
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + data, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", data
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data)


def long_flac(path):
    """Two hours of silence."""
    with soundfile.SoundFile(path, "w", 1000, 1, format="FLAC") as file:
        for _ in range(TWO_HOURS // 100):
            file.write(np.zeros(100_000, np.int16))


class Counted(io.FileIO):
    """A file that knows how many bytes of it were read."""

    num_read = 0

    def read(self, size=-1):
        data = super().read(size)
        self.num_read += len(data)
        return data

    def readinto(self, buffer):
        count = super().readinto(buffer)
        self.num_read += count
        return count


def test_of_two_hours_little_is_read(tmp_path):
    sparse_wav(tmp_path / "long.wav")
    long_flac(tmp_path / "long.flac")
    for path in (tmp_path / "long.wav", tmp_path / "long.flac"):
        with Counted(path) as file:
            assert audio.duration(path) == audio.duration(file) == TWO_HOURS
            assert 0 < file.num_read < 1_000_000


def test_errors(tmp_path, encode, speechlike):
    with pytest.raises(AudioNotFound):
        audio.duration(tmp_path / "nope.wav")
    with pytest.raises(UndecodableAudio):
        audio.duration(b"no audio" * 100)
    with pytest.raises(TruncatedAudio):
        audio.duration(encode(speechlike(0.2), 16000, "wav")[:-500])
    for nothing in (b"", np.zeros(0), np.zeros((2, 0)), encode(np.zeros((0, 1)), 16000, "wav")):
        with pytest.raises(EmptyAudio):
            audio.duration(nothing)
