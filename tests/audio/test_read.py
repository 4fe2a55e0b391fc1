"""`read` gives the same samples whatever a recording is wrapped in, at any rate, for any number of channels."""

import gzip
import io
import os
import sys
import tempfile
import threading

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.errors import (
    AudioError,
    AudioNotFound,
    ConfigurationError,
    EmptyAudio,
    MissingExtra,
    NonFiniteAudio,
    TooShortAudio,
    UndecodableAudio,
)

LOSSLESS = ["wav", "wav-float", "wav-24", "wavex", "rf64", "w64", "aiff", "au", "caf", "nist", "flac"]
LOSSY = ["ogg", "opus", "mp3"]

rates = st.sampled_from([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000])


def correlation(a, b):
    length = min(len(a), len(b))
    return np.corrcoef(a[:length], b[:length])[0, 1]


# ---------------------------------------------------------------------------------------------- formats


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(LOSSLESS), rate=rates, channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_lossless_files_give_back_what_was_written(encode, speechlike, kind, rate, channels, seed):
    written = speechlike(0.3, rate, channels, seed)
    read = audio.read(encode(written, rate, kind), sampling_rate=rate)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, written.mean(1), atol=2 / 32768)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_files_give_nearly_what_was_written(encode, kind):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    read = audio.read(encode(tone, 48000, kind), sampling_rate=48000)
    assert len(read) == len(tone)
    assert correlation(read, tone) > 0.99


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "aac"), ("ipod", "aac"), ("adts", "aac"), ("webm", "libopus"), ("matroska", "flac")],
)
@pytest.mark.parametrize("piped", [False, True])
def test_formats_that_need_av(encode_av, container, codec, piped):
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)).astype(np.float32)
    options = {"movflags": "frag_keyframe+empty_moov"} if container in ("mp4", "ipod") and piped else {}
    data = encode_av(tone, 48000, container, codec, piped=piped, options=options)
    read = audio.read(data)
    assert len(read) == pytest.approx(16000, abs=1100)  # AAC adds a packet or two
    spectrum = np.abs(np.fft.rfft(read[2000:14000]))
    assert spectrum.argmax() * 16000 / 12000 == pytest.approx(440, abs=2)
    assert np.sqrt((read[2000:14000] ** 2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("channels", [2, 8, 16, 64])
def test_av_averages_any_number_of_channels(speechlike, channels):
    av = pytest.importorskip("av")
    written = (32767 * speechlike(0.3, 16000, channels)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        layout = f"{channels} channels"
        stream = output.add_stream("pcm_s16le", rate=16000, layout=layout)
        frame = av.AudioFrame.from_ndarray(written.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = 16000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    np.testing.assert_allclose(audio.read(file.getvalue()), written.mean(1) / 32768, atol=1e-4)


def test_a_film_without_sound_is_an_error():
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        output.mux(stream.encode(None))
    with pytest.raises(UndecodableAudio, match="no audio track"):
        audio.read(file.getvalue())


def test_sound_may_end_before_the_pictures():
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        sound, pictures = output.add_stream("flac", rate=16000, layout="mono"), output.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 32
        frame = av.AudioFrame.from_ndarray(np.full((1, 16000), 1000, np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        output.mux([*sound.encode(frame), *sound.encode(None)])
        for _ in range(30):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        output.mux(pictures.encode(None))
    assert len(audio.read(file.getvalue())) == 16000
    assert audio.duration(file.getvalue()) == pytest.approx(1.0, abs=0.01)


def test_without_av_the_extra_is_named(encode_av, monkeypatch):
    data = encode_av(np.zeros(16000, np.float32), 16000, "mp4", "aac")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match="pip install 'av"):
        audio.read(data)
    with pytest.raises(UndecodableAudio, match="pip install 'av"):
        audio.read(b"not audio at all" * 100)


def test_mp3_behind_a_large_tag(encode, speechlike):
    mp3 = encode(speechlike(1.0), 16000, "mp3")
    tag = b"ID3\x03\x00\x00" + bytes([0, 16, 0, 0]) + bytes(16 << 14)  # 256 KiB, as with a cover picture
    np.testing.assert_array_equal(audio.read(tag + mp3), audio.read(mp3))


# ---------------------------------------------------------------------------------------------- resampling


@settings(deadline=None, max_examples=40)
@given(source=rates, target=rates, hertz=st.integers(100, 3000), channels=st.integers(1, 3))
def test_a_tone_stays_the_tone_at_any_rate(encode, source, target, hertz, channels):
    seconds = np.arange(source) / source
    tone = np.repeat(0.3 * np.sin(2 * np.pi * hertz * seconds)[:, None], channels, 1).astype(np.float32)
    read = audio.read(encode(tone, source, "wav-float"), sampling_rate=target)
    assert len(read) == pytest.approx(target, abs=1)
    expected = 0.3 * np.sin(2 * np.pi * hertz * np.arange(len(read)) / target)
    middle = slice(len(read) // 5, -len(read) // 5)
    np.testing.assert_allclose(read[middle], expected[middle], atol=1e-3)


def test_resampling_is_soxr_at_high_quality(speechlike):
    samples = speechlike(0.5, 44100)[:, 0]
    expected = soxr.resample(samples, 44100, 16000, quality="HQ")
    np.testing.assert_array_equal(audio.read(samples, source_rate=44100), expected)
    np.testing.assert_array_equal(audio.resample(samples, 44100, 16000), expected)


@pytest.mark.parametrize("rate", [0, -16000, 16, 16000.5, float("nan"), float("inf"), "16000", True, None])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ConfigurationError, match="hertz"):
        audio.read(np.zeros(1000), sampling_rate=rate)
    if rate is not None:
        with pytest.raises(ConfigurationError, match="hertz"):
            audio.read(np.zeros(1000), source_rate=rate)


# ---------------------------------------------------------------------------------------------- sources


@pytest.fixture
def wav(encode, speechlike):
    return encode(speechlike(0.2, 8000, 2), 8000, "wav")


def test_every_way_to_give_a_file_gives_the_same_samples(wav, tmp_path):
    expected = audio.read(wav)
    path = tmp_path / "a recording – naïve name.wav"
    path.write_bytes(wav)
    raw = tmp_path / "misnamed.raw"
    raw.write_bytes(wav)
    with (
        path.open("rb") as opened,
        gzip.open(io.BytesIO(gzip.compress(wav))) as gzipped,
        tempfile.SpooledTemporaryFile() as spooled,  # what web frameworks hand out
    ):
        spooled.write(wav)
        sources = [
            *(path, str(path), raw, bytearray(wav), memoryview(wav), io.BytesIO(wav), opened, gzipped, spooled),
            *({"bytes": wav, "path": None}, {"bytes": None, "path": str(path)}, {"array": None, "path": path}),
        ]
        for source in sources:
            np.testing.assert_array_equal(audio.read(source), expected)


def test_source_rate_does_not_touch_files(wav):
    np.testing.assert_array_equal(audio.read(wav, source_rate=48000), audio.read(wav))


def test_a_pipe_works(wav):
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(writing, wav), os.close(writing)))
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        np.testing.assert_array_equal(audio.read(pipe), audio.read(wav))
    writer.join()


def test_a_file_object_is_read_from_its_beginning_and_left_as_it_was(wav):
    file = io.BytesIO(wav)
    file.seek(100)
    np.testing.assert_array_equal(audio.read(file), audio.read(wav))
    assert not file.closed
    assert file.tell() == 100


def test_decoders_of_hugging_face_datasets(speechlike):
    class FileDecoder:
        def get_all_samples(self):
            return self

        data = torch.from_numpy(speechlike(0.2, 8000, 2).T)
        sample_rate = 8000

    expected = audio.read(speechlike(0.2, 8000, 2), source_rate=8000)
    np.testing.assert_array_equal(audio.read(FileDecoder()), expected)


# ---------------------------------------------------------------------------------------------- the result


@settings(deadline=None, max_examples=30)
@given(
    kind=st.sampled_from(["array", "readonly", "tensor", "wav", "flac", "silence"]),
    rate=st.sampled_from([8000, 16000, 44100]),
    channels=st.integers(1, 2),
)
def test_the_result_is_always_a_fresh_writable_contiguous_float32_vector(encode, speechlike, kind, rate, channels):
    samples = speechlike(0.2, rate, channels)
    if kind == "readonly":
        samples.flags.writeable = False
    if kind == "silence":
        samples[:] = 0
    source = {"wav": lambda: encode(samples, rate, "wav"), "flac": lambda: encode(samples, rate, "flac")}.get(
        kind, lambda: torch.from_numpy(samples) if kind == "tensor" else samples
    )()
    before = samples.copy()
    read = audio.read(source, source_rate=rate)
    assert read.dtype == np.float32
    assert read.ndim == 1
    assert read.flags.c_contiguous
    assert read.flags.writeable
    read[:] = 7
    np.testing.assert_array_equal(samples, before)


def test_digital_silence_is_a_good_recording(encode):
    assert not audio.read(encode(np.zeros(16000), 16000, "wav")).any()
    assert not audio.read(np.zeros(16000, np.int16), source_rate=44100).any()


# ---------------------------------------------------------------------------------------------- errors


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(AudioNotFound, match=r"nope\.wav"):
        audio.read(tmp_path / "nope.wav")
    with pytest.raises(AudioNotFound, match="looked in"):
        audio.read("nope.wav")
    with pytest.raises(AudioNotFound, match="folder"):
        audio.read(tmp_path)
    with pytest.raises(AudioNotFound, match="download"):
        audio.read("https://example.org/a.wav")


def test_empty_files(tmp_path, encode):
    (tmp_path / "empty.wav").touch()
    for source in (b"", io.BytesIO(), tmp_path / "empty.wav"):
        with pytest.raises(EmptyAudio, match="0 bytes"):
            audio.read(source)
    for kind in ("wav", "aiff"):
        with pytest.raises(EmptyAudio, match="not one sample"):
            audio.read(encode(np.zeros((0, 1)), 16000, kind))


@pytest.mark.parametrize("source", [b"hello world, I am a text. " * 200, bytes(5000), b"x", os.urandom(20000)])
def test_bytes_that_are_no_audio(source):
    with pytest.raises(UndecodableAudio):
        audio.read(source)


@pytest.mark.parametrize("source", [None, 3, object(), {}, {"samples": [1.0]}, io.StringIO("text"), {"bytes": 4}])
def test_things_that_are_no_recording(source):
    with pytest.raises(UndecodableAudio):
        audio.read(source)


def test_a_text_file_object_is_told_to_be_binary(tmp_path):
    (tmp_path / "a.wav").write_text("RIFF", encoding="ascii")
    with (tmp_path / "a.wav").open(encoding="ascii") as file, pytest.raises(UndecodableAudio, match="'rb'"):
        audio.read(file)


def test_min_samples_counts_after_resampling():
    assert len(audio.read(np.ones(400))) == 400
    assert len(audio.read(np.ones(200), source_rate=8000)) == 400
    assert len(audio.read(np.ones(1), min_samples=1)) == 1
    for samples, rate in ((399, 16000), (199, 8000), (1100, 44100), (1, 16000)):
        with pytest.raises(TooShortAudio, match="400"):
            audio.read(np.ones(samples), source_rate=rate)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_samples_that_are_not_finite(encode, poison, rate):
    samples = np.full((rate, 2), 0.1, np.float32)
    samples[rate // 2, 1] = poison  # one channel is enough
    for source in (
        samples,
        {"array": samples.T.copy(), "sampling_rate": rate},
        torch.from_numpy(samples),
        encode(samples, rate, "wav-float"),
    ):
        with pytest.raises(NonFiniteAudio, match=r"0\.500 s"):
            audio.read(source, source_rate=rate)


def test_infinities_that_cancel_are_not_finite():
    samples = np.zeros((1000, 2), np.float32)
    samples[3] = np.inf, -np.inf
    with pytest.raises(NonFiniteAudio):
        audio.read(samples)


def test_every_error_of_a_recording_is_an_audio_error(tmp_path):
    for source in (tmp_path, b"", b"x", np.zeros(3), np.full(500, np.nan)):
        with pytest.raises(AudioError):
            audio.read(source)


def test_a_link_that_leads_nowhere_says_where_it_leads(tmp_path):
    (tmp_path / "a.wav").symlink_to("gone.wav")
    with pytest.raises(AudioNotFound, match=r"a link to 'gone\.wav', which is not there"):
        audio.read(tmp_path / "a.wav")
