"""AAC in ADTS frames: cut, damaged, put together."""

import io
import time
import warnings
from itertools import pairwise

import numpy as np
import pytest

from sonant import audio
from sonant.errors import AudioError, AudioWarning, TruncatedAudio, UndecodableAudio

RATE = 48000
FRAME = 1024 / RATE


@pytest.fixture(scope="module")
def aac(encode_av, speechlike):
    return encode_av(speechlike(2.0, RATE)[:, 0], RATE, "adts", "aac")


def borders(data):
    """Where frames begin, and the end."""
    places = [0]
    while places[-1] < len(data):
        head = data[places[-1] :]
        places.append(places[-1] + ((head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5))
    return places


def read(data):
    return audio.read(data, sampling_rate=RATE)


def test_files_joined_are_read_whole(aac):
    whole = audio.duration(aac)
    for between in (b"", b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256)):
        chain = aac + between + aac
        assert audio.duration(chain) == pytest.approx(2 * whole) == pytest.approx(len(read(chain)) / RATE)


def test_a_cut_is_known_within_a_frame(aac):
    whole, frames = read(aac), borders(aac)
    middle = len(frames) // 2
    for cut in range(frames[middle], frames[middle + 1]):
        if cut == frames[middle]:
            np.testing.assert_array_equal(read(aac[:cut]), whole[: middle * 1024])
            continue
        for measure in (audio.read, audio.duration):
            with pytest.raises(TruncatedAudio, match=f"after {middle * FRAME:.2f} s"):
                measure(aac[:cut])


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_junk_between_frames_is_passed_over_with_a_warning(aac, size):
    middle = borders(aac)[40]
    with pytest.warns(AudioWarning, match=f"{size} bytes after {40 * FRAME:.2f} s"):
        np.testing.assert_array_equal(read(aac[:middle] + b"\x55" * size + aac[middle:]), read(aac))


@pytest.mark.parametrize("together", [1, 2])
def test_many_damaged_places_are_truncated(aac, together):
    frames = borders(aac)[::together]
    damaged = b"".join(aac[begin:end] + b"junk" for begin, end in pairwise(frames))
    with pytest.raises(TruncatedAudio, match="large part|breaks off"):
        audio.read(damaged)


def test_another_rate_is_refused(aac, encode_av, speechlike):
    for measure in (audio.read, audio.duration):
        with pytest.raises(UndecodableAudio, match="changes its rate or channels"):
            measure(aac + encode_av(speechlike(1.0)[:, 0], 16000, "adts", "aac"))


def test_noise_in_a_file_is_an_audio_error_or_a_warning(aac):
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(aac)
        at, size = rng.integers(0, len(data)), rng.integers(1, 400)
        match rng.integers(0, 3):
            case 0:
                data[at : at + size] = rng.bytes(size)
            case 1:
                del data[at : at + size]
            case _:
                data[at:at] = rng.bytes(size)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                length, seconds = len(read(bytes(data))), audio.duration(io.BytesIO(data))
            except AudioError:
                continue
            assert abs(seconds * RATE - length) <= 1024
            assert {warning.category for warning in warned} <= {AudioWarning}


@pytest.mark.parametrize("evil", ["frames everywhere", "tags everywhere"])
def test_hostile_files_take_time_in_proportion(aac, evil):
    data = aac + (
        b"\xff\xf1\x50\x80" * 1_000_000 if evil == "frames everywhere" else b"ID3\3\0\0\0\0\0\0" * 400_000 + aac
    )
    begin = time.monotonic()
    with pytest.raises(AudioError):
        audio.read(data)
    assert time.monotonic() - begin < 3
