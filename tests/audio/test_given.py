"""Every form in which a recording may be given, and what is said of forms that are nearly one."""

import array
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from sonant import audio
from sonant.audio.input_forms import KEYS
from sonant.errors import AudioError, AudioNotFound, UndecodableAudio


@pytest.fixture
def samples(speechlike):
    return speechlike(0.25, 8000)[:, 0]


@pytest.fixture
def expected(samples):
    return audio.read(samples, source_rate=8000)


# ---------------------------------------------------------------------------------------------- tuples


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy, lambda x: torch.from_numpy(x)[None], list])
@pytest.mark.parametrize("rate", [8000, np.int64(8000), 8000.0, torch.tensor(8000), np.array(8000)])
def test_samples_and_their_rate_in_either_order(samples, expected, make, rate):
    values = make(samples)
    for pair in ((values, rate), (rate, values)):
        np.testing.assert_array_equal(audio.read(pair), expected)
        assert audio.duration(pair) == 0.25


def test_channels_of_a_tuple_are_channels(speechlike):
    stereo = speechlike(0.25, 8000, 2)
    expected = audio.read(stereo, source_rate=8000)
    np.testing.assert_array_equal(audio.read((torch.from_numpy(stereo.T), 8000)), expected)
    np.testing.assert_array_equal(audio.read((8000, stereo)), expected)


def test_a_gradio_recording_of_whole_numbers(samples, expected):
    np.testing.assert_allclose(audio.read((8000, (samples * 32768).astype(np.int16))), expected, atol=1e-4)


@pytest.mark.parametrize("rate", [16, 0, -8000, float("nan"), 8000.5])
def test_a_tuple_with_an_impossible_rate_is_one_bad_recording(samples, rate):
    with pytest.raises(UndecodableAudio, match="hertz"):
        audio.read((samples, rate))


# ---------------------------------------------------------------------------------------------- buffers


def test_buffers_of_numbers_are_samples_and_buffers_of_bytes_are_files(encode, samples):
    whole = (samples * 32768).astype(np.int16)
    expected = audio.read(whole)
    np.testing.assert_array_equal(audio.read(array.array("h", whole.tobytes())), expected)
    np.testing.assert_array_equal(audio.read(memoryview(whole)), expected)
    np.testing.assert_array_equal(audio.read(memoryview(samples)), audio.read(samples))
    wav = encode(samples, 8000, "wav")
    np.testing.assert_array_equal(audio.read(memoryview(wav)), audio.read(wav))


def test_what_has_an_array_inside_is_that_array(samples, expected):
    class Series:
        def __array__(self, dtype=None, copy=None):
            return samples

    for values in (Series(), samples[::-1][::-1], np.ma.masked_array(samples)):
        np.testing.assert_array_equal(audio.read(values, source_rate=8000), expected)


# ---------------------------------------------------------------------------------------------- mappings


@pytest.mark.parametrize(
    ("key", "right"),
    [
        *(("sample_rate", "sampling_rate"), ("sr", "sampling_rate"), ("samplerate", "sampling_rate")),
        *(("Sampling_Rate", "sampling_rate"), ("rate", "sampling_rate"), ("sampling_rat", "sampling_rate")),
        *(("audio", "array"), ("waveform", "array"), ("data", "array"), ("Array", "array"), ("raw", "array")),
        *(("sampling rate", "sampling_rate"), ("fs", "sampling_rate"), ("arrays", "array")),
    ],
)
def test_a_key_that_is_nearly_right_is_named_with_the_right_one(samples, key, right):
    good = {"array": samples, "sampling_rate": 8000}
    for given in ({**good, key: good[right]}, {key if name == right else name: good[name] for name in good}):
        for read in (audio.read, audio.duration, audio.num_channels):
            with pytest.raises(UndecodableAudio, match=f"'{key}'.*'{right}'"):
                read(given)


def test_files_under_other_names(encode, samples, tmp_path):
    for value, right in ((b"RIFF", "bytes"), ("a.wav", "path"), (Path("a.wav"), "path")):
        with pytest.raises(UndecodableAudio, match=f"'data'.*'{right}'"):
            audio.read({"data": value})
    with pytest.raises(UndecodableAudio, match="'audio_filepath'.*'path'"):
        audio.read({"audio_filepath": "a.wav", "text": "hello"})
    with pytest.raises(UndecodableAudio, match="channel="):
        audio.read({"path": "a.wav", "channel": 1})
    with pytest.raises(UndecodableAudio, match="cut the samples"):
        audio.read({"array": samples, "sampling_rate": 8000, "offset": 1.0})


def test_a_row_of_a_dataset_is_told_where_its_recording_is(samples):
    row = {"file": "a.wav", "audio": {"array": samples, "sampling_rate": 8000, "path": "a.wav"}, "text": "hello"}
    with pytest.raises(UndecodableAudio, match=r"row\['audio'\]"):
        audio.read(row)
    with pytest.raises(UndecodableAudio, match="without the outer"):
        audio.read({"array": row["audio"]})


def test_what_a_dataset_says_besides_changes_nothing(samples, expected):
    given = {"path": "nowhere.wav", "bytes": None, "array": samples, "sampling_rate": 8000, "id": 7, "file": "x"}
    np.testing.assert_array_equal(audio.read(given), expected)
    np.testing.assert_array_equal(audio.read({"array": samples, "sampling_rate": None}, source_rate=8000), expected)
    np.testing.assert_array_equal(audio.read(given, source_rate=8000), expected)


def test_a_mapping_without_a_rate_or_with_two_is_refused(samples):
    for given in ({"array": samples}, {"array": samples, "sampling_rate": None}):
        with pytest.raises(UndecodableAudio, match="no 'sampling_rate'"):
            audio.read(given)
    for given in ({"array": samples, "sampling_rate": 8000}, (samples, 8000)):
        with pytest.raises(UndecodableAudio, match="8000 Hz.*16000 Hz"):
            audio.read(given, source_rate=16000)
    np.testing.assert_array_equal(
        audio.read({"array": samples, "sampling_rate": torch.tensor(8000)}), audio.read((samples, 8000))
    )
    for rate in (16, "8000", True, [8000], torch.tensor([8000, 8000]), np.array([8000, 8000])):
        with pytest.raises(UndecodableAudio, match="hertz"):
            audio.read({"array": samples, "sampling_rate": rate})


def test_a_mapping_is_one_recording(speechlike):
    stereo = speechlike(0.25, 16000, 2)
    np.testing.assert_array_equal(
        audio.read({"array": stereo.T.copy(), "sampling_rate": 16000}), audio.read(stereo, channel="mix")
    )


def test_the_message_lists_the_keys():
    with pytest.raises(UndecodableAudio) as raised:
        audio.read({"sr": 1})
    assert all(repr(key) in str(raised.value) for key in KEYS)


# ---------------------------------------------------------------------------------------------- files


def test_a_closed_file_is_named(encode, samples, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encode(samples, 8000, "wav"))
    with path.open("rb") as file:
        pass
    memory = io.BytesIO(path.read_bytes())
    memory.close()
    for closed in (file, memory):
        for read in (audio.read, audio.duration, audio.num_channels, lambda source: list(audio.blocks(source))):
            with pytest.raises(UndecodableAudio, match="closed"):
                read(closed)
    with pytest.raises(UndecodableAudio, match=r"a\.wav"):
        audio.read(file)


def test_a_recording_opened_as_text_is_told_to_be_binary(encode, samples, tmp_path):
    """Its bytes are no text, so that reading alone would fail with another message."""
    path = tmp_path / "a.flac"
    path.write_bytes(encode(samples, 8000, "flac"))
    with path.open(encoding="utf-8") as file, pytest.raises(UndecodableAudio, match="'rb'"):
        audio.read(file)


@pytest.mark.parametrize(
    "source",
    [
        None,
        3,
        16000,
        2.5,
        True,
        object(),
        {},
        {"samples": [1.0]},
        {"bytes": 4},
        {"bytes": np.zeros(9)},
        set(),
        range(3),
    ],
)
def test_things_that_are_no_recording(source):
    with pytest.raises(UndecodableAudio):
        audio.read(source)


def test_generators_are_no_recording(samples):
    with pytest.raises(UndecodableAudio, match="generator"):
        audio.read(value for value in samples)


def test_paths_that_lead_nowhere(tmp_path):
    for path in (tmp_path / "no.wav", str(tmp_path / "no.wav"), {"path": tmp_path / "no.wav"}, tmp_path):
        with pytest.raises(AudioNotFound):
            audio.read(path)
        with pytest.raises(AudioError):
            audio.num_channels(path)
