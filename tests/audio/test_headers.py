"""What the headers of uncompressed files promise, and the markers that streams leave in place of a length."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant import audio
from sonant.audio.headers import Patched, read_promise
from sonant.errors import EmptyAudio, TruncatedAudio

KINDS = ["wav", "wav-float", "wav-24", "wavex", "rf64", "w64", "aiff", "au", "caf", "nist"]


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), samples=st.integers(400, 700), channels=st.integers(1, 3))
def test_a_whole_file_promises_what_it_holds(encode, speechlike, kind, samples, channels):
    data = encode(speechlike(samples / 16000, channels=channels), 16000, kind)
    promise = read_promise(io.BytesIO(data), len(data))
    assert promise.patch is None
    assert promise.end in (len(data), len(data) - 1), "at most a byte of padding is left"


@pytest.mark.parametrize("length", [0, 0x7FFF0000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB])
@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_wav_streams_of_unknown_length_just_work(encode, speechlike, length, wrap):
    data = bytearray(encode(speechlike(0.2), 16000, "wav"))
    whole = audio.read(data)
    assert data[36:40] == b"data"
    struct.pack_into("<I", data, 40, length)
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    np.testing.assert_array_equal(audio.read(wrap(data)), whole)
    assert audio.duration(wrap(data)) == pytest.approx(0.2)


def test_wav_written_to_a_pipe_by_ffmpeg(encode_av, speechlike):
    samples = speechlike(0.5)[:, 0]
    data = encode_av(samples, 16000, "wav", "pcm_s16le", piped=True)
    np.testing.assert_allclose(audio.read(data), samples, atol=2 / 32768)


def test_an_empty_wav_with_a_chunk_behind_is_empty(encode):
    data = encode(np.zeros((0, 1)), 16000, "wav") + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(EmptyAudio):
        audio.read(data)


def test_chunks_before_and_behind_the_samples_do_not_count(encode, speechlike):
    data = encode(speechlike(0.2), 16000, "wav")
    extra = b"LIST" + struct.pack("<I", 5) + b"INFO!\0"  # odd, so padded
    np.testing.assert_array_equal(audio.read(data[:36] + extra + data[36:] + extra), audio.read(data))
    with pytest.raises(TruncatedAudio):
        audio.read((data[:36] + extra + data[36:])[:-100])


def test_odd_chunks_of_aiff_are_padded(encode, speechlike):
    data = encode(speechlike(0.2), 16000, "aiff")
    place = data.index(b"SSND")
    noted = data[:place] + b"ANNO" + struct.pack(">I", 5) + b"hello\0" + data[place:]
    np.testing.assert_array_equal(audio.read(noted), audio.read(data))
    assert read_promise(io.BytesIO(noted), len(noted)).end == len(noted)
    with pytest.raises(TruncatedAudio):
        audio.read(noted[:-2])


@given(
    data=st.binary(max_size=300),
    kind=st.sampled_from([b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"riff", b".snd", b"NIST"]),
)
def test_junk_behind_a_magic_never_hangs_or_crashes(data, kind):
    data = kind + data
    file = io.BytesIO(data)
    read_promise(file, len(data))
    assert file.tell() == 0


@given(
    data=st.binary(min_size=8, max_size=64),
    patch=st.binary(min_size=1, max_size=4),
    offset=st.integers(0, 4),
    seek=st.integers(0, 64),
    size=st.integers(0, 64),
)
def test_a_patched_file_reads_like_the_patched_bytes(data, patch, offset, seek, size):
    expected = io.BytesIO(data[:offset] + patch + data[offset + len(patch) :])
    patched = Patched(io.BytesIO(data), offset, patch)
    assert patched.seek(seek) == expected.seek(seek)
    assert patched.read(size) == expected.read(size)
    assert patched.tell() == expected.tell()
