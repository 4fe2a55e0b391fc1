"""FLAC files joined byte by byte, and those whose header counts too little."""

import contextlib
import io
import time
import warnings

import numpy as np
import pytest

from sonant import audio
from sonant.audio.formats.flac import read_flac
from sonant.errors import AudioError, AudioWarning, UndecodableAudio

ID3V2 = b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256)
ID3V1 = b"TAG" + bytes(125)
TOTAL = slice(22, 26)  # the lower 32 bits of the count of samples


@pytest.fixture(scope="module")
def files(encode, speechlike):
    return [encode(speechlike(seconds, seed=seed), 16000, "flac") for seed, seconds in enumerate((2.0, 2.0, 1.5, 0.1))]


@pytest.mark.parametrize("rate", [8000, 12345, 44100, 192_000])
@pytest.mark.parametrize("samples", [1, 400, 4095, 4096, 4097, 20_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_end_of_a_single_file_is_recognized(encode, speechlike, rate, samples, channels):
    data = encode(speechlike(samples / rate, rate, channels), rate, "flac")
    for whole in (data, data + ID3V1):
        assert read_flac(io.BytesIO(whole), "a file", len(whole)) is None


@pytest.mark.parametrize("kinds", [(0, 0), (0, 1), (1, 2), (2, 1, 0), (3,) * 7, (0,) * 33])
@pytest.mark.parametrize("between", [b"", ID3V2, ID3V1])
def test_files_joined_are_read_whole(files, kinds, between):
    chain = between.join(files[kind] for kind in kinds)
    expected = np.concatenate([audio.read(files[kind]) for kind in kinds])
    np.testing.assert_array_equal(audio.read(chain), expected)
    assert audio.duration(chain) == len(expected) / 16000


@pytest.mark.parametrize("times", range(1, 20))
def test_long_files_of_one_length_are_told_apart_without_being_searched(encode, speechlike, times):
    """They all end where their headers say. Half of each is silent, so that bytes tell nothing of time."""
    samples = np.concatenate([np.zeros((200_000, 1), np.float32), speechlike(12.5)])
    data = encode(samples, 16000, "flac") * times
    layout = read_flac(io.BytesIO(data), "a file", len(data))
    assert (1 if layout is None else len(layout.parts)) == times


def test_only_parts_of_a_long_file_are_looked_at(encode, speechlike):
    data = encode(speechlike(60.0), 16000, "flac")
    read = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    assert read_flac(Counted(data), "a file", len(data)) is None
    assert sum(read) < len(data) / 3


@pytest.mark.parametrize("behind", [b"", ID3V1])
def test_a_count_that_is_too_small_is_named_and_all_is_read(files, behind):
    data = bytearray(files[0] + behind)
    data[TOTAL] = (9000).to_bytes(4, "big")
    with pytest.warns(AudioWarning, match="counts 9000 samples, and at least"):
        np.testing.assert_array_equal(audio.read(bytes(data)), audio.read(files[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert audio.duration(bytes(data)) == 2.0


def test_streams_without_a_count_joined(files):
    piped = bytearray(files[0])
    piped[TOTAL] = bytes(4)
    expected = audio.read(files[0])
    for chain in (piped + files[2], files[2] + piped):
        assert len(audio.read(chain)) == 32000 + 24000
        assert audio.duration(chain) == 3.5
    np.testing.assert_array_equal(audio.read(bytes(piped)), expected)


def test_two_rates_are_refused(files, encode, speechlike):
    with pytest.raises(UndecodableAudio, match="16000 Hz and at 8000 Hz"):
        audio.read(files[0] + encode(speechlike(1.0, 8000), 8000, "flac"))


def test_a_picture_of_a_flac_is_none(files):
    """A block of notes that holds a whole file, as an attachment might."""
    data, inner = files[0], files[3]
    block = b"\x02" + len(inner).to_bytes(3, "big") + inner
    noted = data[:42] + block + data[42:]
    assert data[4] == 0, "further blocks follow the first"
    np.testing.assert_array_equal(audio.read(noted), audio.read(data))


@pytest.mark.parametrize("evil", ["beginnings", "frames"])
def test_hostile_files_take_time_in_proportion(files, evil):
    data = bytearray(files[0])
    data[15:18] = b"\xff\xff\xff"  # the longest frame
    data += b"fLaC\x00\x00\x00\x22" * 500_000 if evil == "beginnings" else b"\xff\xf8\xc9\x18" * 2_000_000
    begin = time.process_time()
    with contextlib.suppress(AudioError):
        audio.duration(bytes(data))
    assert time.process_time() - begin < 3
