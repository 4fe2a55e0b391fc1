"""A segment of a recording is the slice of the whole, and one outside of it is refused by its times."""

import io

import numpy as np
import pytest

from sonant import audio
from sonant.audio import Segment
from sonant.errors import ConfigurationError, MissingSegment, OversizedAudio

EXACT = ["wav", "wav-24", "rf64", "aiff", "au", "caf", "flac", "ogg", "opus"]


@pytest.mark.parametrize("kind", [*EXACT, "mp3"])
def test_a_segment_is_the_slice_of_the_whole(encode, speechlike, kind, tmp_path):
    path = tmp_path / "talk"
    path.write_bytes(encode(speechlike(12.0, 16000, channels=2), 16000, kind))
    whole = audio.read(path, channel="all")
    for start, end in [(0.0, 1.0), (0.51, 9.25), (9.1234, 11.5), (3.0, None)]:
        segment = Segment(start, end)
        there = whole[:, round(start * 16000) : None if end is None else round(end * 16000)]
        np.testing.assert_allclose(audio.read(path, channel="all", segment=segment), there, atol=1e-6)
        blocks = list(audio.blocks(path.read_bytes(), channel=1, segment=segment))
        np.testing.assert_allclose(np.concatenate(blocks), there[1], atol=1e-6)
        assert audio.duration(path, segment=segment) == pytest.approx(there.shape[1] / 16000)


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_segments_of_uncompressed_and_lossless_files_are_equal_to_the_bit(encode, speechlike, kind):
    data = encode(speechlike(12.0, 16000), 16000, kind)
    segment = Segment(1.23, 4.56)
    np.testing.assert_array_equal(audio.read(data, segment=segment), audio.read(data)[19680:72960])


def test_a_segment_is_resampled_by_itself(encode, speechlike):
    data = encode(speechlike(3.0, 48000), 48000, "wav")
    alone = audio.read(audio.read(data, sampling_rate=48000)[48000:96000], source_rate=48000)
    np.testing.assert_array_equal(audio.read(data, segment=Segment(1.0, 2.0)), alone)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_segments_of_other_formats(encode_av, speechlike, container, codec):
    data = encode_av(speechlike(6.0, 48000)[:, 0], 48000, container, codec)
    whole, part = (audio.read(data, sampling_rate=48000, segment=each) for each in (None, Segment(2.5, 4.0)))
    np.testing.assert_array_equal(part, whole[120000:192000])


def test_samples_in_memory_have_segments(speechlike):
    samples = speechlike(2.0, 16000)[:, 0]
    np.testing.assert_array_equal(audio.read(samples, segment=Segment(0.5, 1.0)), samples[8000:16000])


@pytest.mark.parametrize("kind", ["wav", "flac", "opus", "mp3"])
def test_a_segment_outside_its_recording_is_named(encode, speechlike, kind):
    data = encode(speechlike(2.0, 16000), 16000, kind)
    for segment in (Segment(1.0, 3.5), Segment(5.0), Segment(5.0, 6.0)):
        with pytest.raises(MissingSegment, match=str(segment)):
            audio.read(data, segment=segment)
        with pytest.raises(MissingSegment, match=str(segment)):
            audio.duration(data, segment=segment)
    assert len(audio.read(data, segment=Segment(1.0, 2.09))) == pytest.approx(16000, abs=1200)  # times are rounded


def test_a_stream_of_unknown_length_has_segments_too(encode_av, speechlike):
    data = encode_av(speechlike(3.0, 48000)[:, 0], 48000, "flac", "flac", piped=True)
    whole = audio.read(data, sampling_rate=48000)
    np.testing.assert_array_equal(audio.read(data, sampling_rate=48000, segment=Segment(1.0, 2.0)), whole[48000:96000])
    for segment in (Segment(2.0, 4.0), Segment(4.0)):
        with pytest.raises(MissingSegment, match=str(segment)):
            audio.read(data, segment=segment)


def test_a_file_on_disk_is_sought_through(encode, speechlike, tmp_path, monkeypatch):
    import soundfile

    path = tmp_path / "long.flac"
    path.write_bytes(encode(speechlike(60.0, 16000), 16000, "flac"))
    decoded, usual = [], soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda file, frames, **how: decoded.append(frames) or usual(file, frames, **how)
    )
    audio.read(path, segment=Segment(50.0, 51.0))
    assert decoded == [16000]


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (1.0, 1.0), (2.0, 1.0), (float("nan"), None), ("a", None)])
def test_invalid_times(start, end):
    with pytest.raises(ConfigurationError, match="A segment"):
        Segment(start, end)


def test_the_name_of_a_segment():
    assert [str(Segment(1.5, 20.0)), str(Segment(0.1 + 0.2))] == ["1.5 to 20 s", "from 0.3 s"]


def test_info_is_of_the_segment(encode, speechlike):
    data = encode(speechlike(2.0, 24000, channels=2), 24000, "wav")
    assert audio.info(io.BytesIO(data)) == audio.AudioInfo(2.0, 24000, 2)
    assert audio.info(data, segment=Segment(0.5)).duration == 1.5


def test_a_ceiling_counts_from_the_beginning_of_the_recording(encode, speechlike):
    data = encode(speechlike(3.0, 16000), 16000, "wav")
    ceiling = audio.Ceiling(seconds=2.0, decoded_bytes=1 << 30)
    with pytest.raises(OversizedAudio):
        list(audio.blocks(data, ceiling=ceiling, segment=Segment(2.5)))
